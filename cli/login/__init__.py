"""Signing in at the token issuer of an installation, and staying signed in."""
