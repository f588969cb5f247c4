"""What to try after the demo."""

from typing import Final

from cli.demo.job import VERSION
from cli.installation.choices import BASE_PORT, ports_from
from cli.installation.layout import ClientView

_GRPCURL: Final = """\
What to try next:

  {start}
  stoa status
  stoa --help

The same in any language, over gRPC; for example with grpcurl:

  TOKEN=$(stoa token)
  grpcurl -plaintext {catalog} list
  grpcurl -plaintext {catalog} describe stoa.catalog.v1.ImageVersionService
  grpcurl -plaintext -H "authorization: Bearer $TOKEN" \\
    -d '{{"parent": "subscriptions/default/resourceGroups/-"}}' \\
    {catalog} stoa.catalog.v1.GalleryService/ListGalleries
  grpcurl -plaintext -H "authorization: Bearer $TOKEN" \\
    -d '{{"name": "{version}"}}' \\
    {catalog} stoa.catalog.v1.ImageVersionService/GetImageVersion
  grpcurl -plaintext -H "authorization: Bearer $TOKEN" \\
    -d '{{"name": "{version}"}}' \\
    {replication} stoa.replication.v1.ReplicationService/WatchReplication"""

_KEPT: Final = "stoa image-version list -g images -r golden -i linux-base"
_NEW: Final = "stoa up -d        # an installation that stays; or: stoa demo --keep"


def next_steps(client: ClientView | None) -> str:
    """The text, for an installation that runs, or for the one that `stoa up` starts."""
    ports = ports_from(BASE_PORT)
    endpoints = {name: f"127.0.0.1:{ports[name]}" for name in ("catalog", "replication")}
    if client is not None:
        endpoints |= client.endpoints
    return "\n" + _GRPCURL.format(
        start=_NEW if client is None else _KEPT,
        catalog=endpoints["catalog"],
        replication=endpoints["replication"],
        version=VERSION,
    )
