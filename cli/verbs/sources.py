"""What the commands about sources have in common: show, list and delete."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.connection import pages
from cli.invocation import current
from cli.output import Column, note
from cli.verbs import names
from cli.verbs.options import Filter, MaxItems, Name, ResourceGroup, Subscription, Yes

AnyGroup = Annotated[
    str, typer.Option("--resource-group", "-g", help="Of this group alone. [default: all]")
]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of source: how it is called, and what the contract has for it.

    `message` is its message, `Disk`; `several` what a list answers, `disks`; `requests` the
    module of the requests; `collection` what it is named by.
    """

    title: str
    message: str
    several: str
    collection: str
    requests: Any
    stub: Callable[[Any], Any]
    columns: Sequence[Column]

    def call(self, verb: str, suffix: str = "", **fields: Any) -> Any:
        """Call a method, such as `Get` or `List` with `suffix` s."""
        stub = current().connection.stub("catalog", self.stub)
        method = f"{verb}{self.message}{suffix}"
        return getattr(stub, method)(getattr(self.requests, f"{method}Request")(**fields))


def created(kind: Kind, parent: str, name: str, message: Any) -> None:
    """Create a source in a resource group, and show it."""
    field = kind.message
    snake = "".join(f"_{one.lower()}" if one.isupper() else one for one in field).lstrip("_")
    fields = {"parent": parent, f"{snake}_id": name, snake: message}
    current().output.show(kind.call("Create", **fields), kind.columns)


def register(app: typer.Typer, kind: Kind) -> None:
    """Add `show`, `list` and `delete` to an app."""

    def show(
        *, resource_group: ResourceGroup, name: Name, subscription: Subscription = None
    ) -> None:
        full = names.in_group(subscription, resource_group, kind.collection, name)
        current().output.show(kind.call("Get", name=full))

    def list_(
        *,
        resource_group: AnyGroup = "-",
        filter: Filter = "",
        max_items: MaxItems = None,
        subscription: Subscription = None,
    ) -> None:
        parent = names.everywhere(subscription, resource_group)
        stub = current().connection.stub("catalog", kind.stub)
        method = f"List{kind.message}s"
        request = getattr(kind.requests, f"{method}Request")(parent=parent, filter=filter)
        found = pages(getattr(stub, method), request, kind.several, limit=max_items)
        columns = (names.column(parent), *kind.columns[1:])
        current().output.list(found, columns)

    def delete(
        *,
        resource_group: ResourceGroup,
        name: Name,
        yes: Yes = False,
        subscription: Subscription = None,
    ) -> None:
        full = names.in_group(subscription, resource_group, kind.collection, name)
        current().confirm(f"Delete {full}?", yes=yes)
        kind.call("Delete", name=full)
        note(f"Deleted {full}")

    app.command(help=f"Show a {kind.title}.")(show)
    app.command(
        name="list", help=f"List the {kind.title}s of a resource group, or of all that we may see."
    )(list_)
    app.command(help=f"Delete a {kind.title} that nothing needs.")(delete)
