"""`stoa demo`: the main job on an installation of its own, told step by step."""
