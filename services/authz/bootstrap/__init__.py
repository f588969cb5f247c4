"""Puts the authz service together; every process begins here."""
