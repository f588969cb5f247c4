"""What a question may demand of the policy that it is answered by."""

from stoa.authz.v1 import consistency_pb2


def demanding(demand: str, token: str) -> consistency_pb2.Consistency:
    """Answer the demand of a token, by the name of its field."""
    found = consistency_pb2.Consistency()
    setattr(found, demand, token)
    return found
