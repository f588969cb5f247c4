"""What the catalog asks of the other services."""
