"""`stoa what-may-i`: where the caller may do something, or what they may do somewhere."""

import importlib
import pkgutil
from collections.abc import Iterator
from typing import Annotated, Any, Final

import typer
from stoa.authz.v1 import access_pb2, check_pb2
from stoa.type.v1 import method_policy_pb2

from cli.connection import pages
from cli.invocation import current
from cli.output import Column
from cli.verbs import assigning as common
from cli.verbs.asking import Assignee, action_name, questions, subject
from cli.verbs.options import MaxItems
from cli.verbs.principals import Tenant

app = typer.Typer()

_PACKAGES: Final = ("stoa.catalog.v1", "stoa.replication.v1", "stoa.authz.v1")
_EFFECTS: Final = {
    "EFFECT_ALLOWED": "there and below",
    "EFFECT_DENIED": "not there nor below",
    "EFFECT_DENIED_HERE": "not at that itself",
}


def _effect(record: Any) -> str:
    return _EFFECTS.get(record.get("effect", ""), "")


_WHERE = (Column("Scope", "scope"), Column("Allowed", _effect))
_WHAT = (Column("Action", "action"),)


@app.command()
def what_may_i(
    action: Annotated[
        str,
        typer.Argument(
            help="Where this may be done: galleries/read. Without it: what may be done at --scope.",
            show_default=False,
        ),
    ] = "",
    *,
    scope: Annotated[
        str | None,
        typer.Option(help="At or below this. [default: everywhere; what: the subscription]"),
    ] = None,
    assignee: Assignee = "",
    tenant: Tenant = None,
    expand_subscriptions: Annotated[
        bool,
        typer.Option("--expand-subscriptions", help="Subscriptions, in place of what they lie in."),
    ] = False,
    max_items: MaxItems = None,
) -> None:
    """List where you may do something, or what you may do somewhere."""
    about = subject(assignee, tenant)
    if not action:
        request = check_pb2.TestActionsRequest(
            subject=about, resource=common.scope_name(scope), actions=sorted(_actions())
        )
        allowed = questions().TestActions(request).allowed_actions
        current().output.list(({"action": one} for one in allowed), _WHAT)
        return
    listing = access_pb2.ListAccessibleRequest(
        subject=about,
        action=action_name(action),
        parent=scope or "",
        expand_subscriptions=expand_subscriptions,
    )
    found = pages(questions().ListAccessible, listing, "accessible_scopes", limit=max_items)
    current().output.list(found, _WHERE)


def _actions() -> set[str]:
    """Answer every action that a method of the contract demands."""
    found: set[str] = set()
    for service in _services():
        for method in service.methods:
            policy = method.GetOptions().Extensions[method_policy_pb2.policy]
            found |= {policy.action, *policy.further_actions}
    return found - {""}


def _services() -> Iterator[Any]:
    for package in _PACKAGES:
        for module in pkgutil.iter_modules(importlib.import_module(package).__path__):
            if module.name.endswith("_service_pb2"):
                loaded = importlib.import_module(f"{package}.{module.name}")
                yield from loaded.DESCRIPTOR.services_by_name.values()
