"""The content format of image disks and the algorithms that move, verify and read it.

Nothing here knows of RPCs, databases or any particular storage: bytes go in and out through the
ports in `source.py` and `store.py`. The format is described in docs/reference/store-format.md.
"""
