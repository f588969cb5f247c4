"""An installation on this machine: its data directory, its keys, its processes."""
