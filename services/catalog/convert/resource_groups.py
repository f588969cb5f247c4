"""Resource groups between the contract and the domain."""

from stoa.catalog.v1 import resource_group_pb2 as pb

from services.catalog.convert.common import fill
from services.catalog.domain.resource_group import ResourceGroup


def encode(group: ResourceGroup) -> pb.ResourceGroup:
    """Answer a group as the contract has it."""
    message = pb.ResourceGroup()
    fill(message, group)
    return message
