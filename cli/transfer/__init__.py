"""Moves the bytes of disks between this machine and an installation."""
