"""The stand-alone verifier of a store: it reads what lies there, and needs no service.

`python -m services.replication.verifier PATH` writes a report as JSON.
"""
