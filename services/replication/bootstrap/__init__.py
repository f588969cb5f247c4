"""Puts the replication service together; every process begins here."""
