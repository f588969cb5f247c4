"""`stoa storage-account`: places with VHDs, which the operator has allowed."""

from typing import Annotated

import typer
from stoa.catalog.v1 import storage_account_pb2 as pb
from stoa.catalog.v1 import storage_account_service_pb2
from stoa.catalog.v1.storage_account_service_pb2_grpc import StorageAccountServiceStub

from cli.lazy import ListCommand
from cli.output import Column
from cli.verbs import names
from cli.verbs.options import Location, Name, ResourceGroup, Subscription, Tags, pairs
from cli.verbs.sources import Kind, created, register
from cli.verbs.words import last, state_column

app = typer.Typer(no_args_is_help=True)

_KIND = Kind(
    title="storage account",
    message="StorageAccount",
    several="storage_accounts",
    collection="storageAccounts",
    requests=storage_account_service_pb2,
    stub=StorageAccountServiceStub,
    columns=(
        Column("Name", last("name")),
        Column("Location", "location"),
        Column("Store", "store"),
        state_column(),
    ),
)


@app.command(cls=ListCommand)
def create(
    *,
    resource_group: ResourceGroup,
    name: Name,
    location: Location,
    store: Annotated[
        str, typer.Option("--store", help="Its name in `source_stores` of the configuration.")
    ],
    tags: Tags = None,
    subscription: Subscription = None,
) -> None:
    """Create a storage account for a store that the operator has allowed."""
    account = pb.StorageAccount(location=location, store=store, tags=pairs("--tags", tags))
    created(_KIND, names.group(subscription, resource_group), name, account)


register(app, _KIND)
