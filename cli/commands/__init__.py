"""The commands about an installation and about the command itself."""
