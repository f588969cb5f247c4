"""Builds the processes of the service: the one place that knows every part."""
