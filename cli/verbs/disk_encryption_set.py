"""`stoa disk-encryption-set`: keys of customers that disks are encrypted with."""

from typing import Annotated

import typer
from stoa.catalog.v1 import disk_encryption_set_pb2 as pb
from stoa.catalog.v1 import disk_encryption_set_service_pb2
from stoa.catalog.v1.disk_encryption_set_service_pb2_grpc import DiskEncryptionSetServiceStub

from cli.lazy import ListCommand
from cli.output import Column
from cli.verbs import names
from cli.verbs.options import Location, Name, ResourceGroup, Subscription, Tags, pairs
from cli.verbs.sources import Kind, created, register
from cli.verbs.words import last, state_column, value, word

app = typer.Typer(no_args_is_help=True)

# As `az` calls them.
_TYPES = {
    "encryptionatrestwithcustomerkey": "AT_REST_WITH_CUSTOMER_KEY",
    "encryptionatrestwithplatformandcustomerkeys": "AT_REST_WITH_PLATFORM_AND_CUSTOMER_KEYS",
    "confidentialvmencryptedwithcustomerkey": "CONFIDENTIAL_VM_WITH_CUSTOMER_KEY",
}

_KIND = Kind(
    title="disk encryption set",
    message="DiskEncryptionSet",
    several="disk_encryption_sets",
    collection="diskEncryptionSets",
    requests=disk_encryption_set_service_pb2,
    stub=DiskEncryptionSetServiceStub,
    columns=(
        Column("Name", last("name")),
        Column("Location", "location"),
        Column("Encryption", word("encryptionType", "ENCRYPTION_TYPE_")),
        Column("Key", "keyUri"),
        state_column(),
    ),
)


@app.command(cls=ListCommand)
def create(
    *,
    resource_group: ResourceGroup,
    name: Name,
    location: Location,
    key_url: Annotated[str, typer.Option("--key-url", help="Where the key is kept.")],
    encryption_type: Annotated[
        str,
        typer.Option(
            help="EncryptionAtRestWithCustomerKey, EncryptionAtRestWithPlatformAndCustomerKeys "
            "or ConfidentialVmEncryptedWithCustomerKey."
        ),
    ] = "EncryptionAtRestWithCustomerKey",
    tags: Tags = None,
    subscription: Subscription = None,
) -> None:
    """Create a disk encryption set; the key itself is the stores' business."""
    kind = _TYPES.get(encryption_type.casefold(), encryption_type)
    types = pb.DiskEncryptionSet.EncryptionType
    found = pb.DiskEncryptionSet(
        location=location,
        key_uri=key_url,
        encryption_type=value(types, "ENCRYPTION_TYPE_", kind, option="--encryption-type"),
        tags=pairs("--tags", tags),
    )
    created(_KIND, names.group(subscription, resource_group), name, found)


register(app, _KIND)
