"""What forbids a deletion, told all at once, and no more of others than the caller may know."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from services.catalog.domain import reasons
from services.catalog.domain.resource import Resource
from services.catalog.domain.version import Version
from services.catalog.ports.calls import Context
from services.catalog.ports.transaction import Tx
from services.catalog.usecases.source_types import read_action_of, type_of
from services.kernel.names import key
from services.kernel.violations import Violations

_NAMED = 20
MOST_USES = 1000
"""How many uses are read to name them."""


@dataclass(frozen=True, slots=True)
class Block:
    """Something that forbids a deletion; `users` are named as far as the caller may see them."""

    reason: str
    subject: str
    description: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    users: tuple[str, ...] = ()


class BlockedError(Exception):
    """Carries what forbids a deletion out of the transaction, where what may be told is asked."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        super().__init__(f"{len(blocks)} blocks")
        self.blocks = blocks


def refuse(blocks: Sequence[Block]) -> None:
    """End the transaction of a deletion that something forbids.

    Raises:
        BlockedError: to be answered as `error_of` has it.
    """
    if blocks:
        raise BlockedError(blocks)


def error_of(blocked: BlockedError, context: Context) -> Exception:
    """Build the error that names everything in the way: FAILED_PRECONDITION."""
    violations = Violations()
    counts: dict[str, int] = {}
    for block in blocked.blocks:
        counts[block.reason] = counts.get(block.reason, 0) + 1
        if counts[block.reason] <= _NAMED:
            _note(block, context, violations)
    for reason, count in counts.items():
        if count > _NAMED:
            first = next(one for one in blocked.blocks if one.reason == reason)
            more = "and there is more of the same kind"
            violations.precondition(reason, first.subject, more, reason=reason)
    error = violations.error()
    if error is None:
        raise AssertionError("a deletion is blocked by something")
    return error


def of_version(version: Version, now: datetime) -> Iterator[Block]:
    """Answer that a version may not be deleted yet (gallery-semantics 3.6)."""
    end, safety = version.end_of_life_time, version.safety
    if safety is None or not safety.block_deletion_before_end_of_life:
        return
    if end is not None and end > now:
        yield Block(
            reasons.DELETION_BLOCKED_UNTIL_END_OF_LIFE,
            version.name,
            f"{version.name} may not be deleted before {end.isoformat()}",
            {"resource": version.name, "end_of_life_time": end.isoformat()},
        )


def of_uses(tx: Tx, scope_key: str, going: Iterable[Resource]) -> Iterator[Block]:
    """Answer what of a scope is needed by something outside of it."""
    users: dict[str, list[str]] = {}
    for used, user in tx.uses.from_outside(scope_key, MOST_USES):
        users.setdefault(used, []).append(user)
    for resource in going:
        if found := users.get(resource.key):
            yield Block(
                _in_use(resource.name),
                resource.name,
                f"{resource.name} is needed by",
                {"resource": resource.name},
                tuple(found),
            )


def _note(block: Block, context: Context, violations: Violations) -> None:
    description, metadata = block.description, dict(block.metadata)
    if block.users:
        shown = [one for one in block.users[: _NAMED + 1] if _visible(one, context)]
        named = ", ".join(shown[:_NAMED]) or "what the caller may not see"
        description = f"{description} {named}"
        metadata["users"] = ",".join(shown[:_NAMED])
    violations.precondition(
        block.reason, block.subject, description, reason=block.reason, metadata=metadata
    )


def _in_use(name: str) -> str:
    is_version = key(name).split("/")[4] == "galleries"
    return reasons.SOURCE_IN_USE if is_version else type_of(name).in_use


def _visible(name: str, context: Context) -> bool:
    return context.access.allowed(read_action_of(name), name)
