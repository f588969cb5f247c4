"""One function for each thing that a caller can want."""
