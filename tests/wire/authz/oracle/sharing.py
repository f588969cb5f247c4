"""Takes steps in the sharing of galleries, as the catalog does."""

import uuid
from dataclasses import replace
from typing import Final

from stoa.authz.v1 import sharing_grant_pb2, sharing_service_pb2

from services.policy.model import SharingGrant, SharingMode
from tests.wire.authz.oracle.writing import Writer


class Sharing:
    """Shares galleries of a world."""

    def __init__(self, by: Writer) -> None:
        self._by = by
        self._sequence = 0

    def share(self, gallery: str) -> None:
        """Take one random step in the sharing of a gallery."""
        before = self._by.world.grants.get(gallery) or _private(gallery)
        random = self._by.random
        subscriptions = random.sample(sorted(self._by.world.subscriptions), random.randint(0, 2))
        tenants = random.sample(sorted(self._by.world.tenants), random.randint(0, 1))
        if not subscriptions:
            tenants = tenants or random.sample(sorted(self._by.world.tenants), 1)
        mode = before.mode
        if mode is SharingMode.PRIVATE:
            mode = random.choice((SharingMode.GROUPS, SharingMode.COMMUNITY))
        before = replace(before, mode=mode)
        steps = {
            SharingMode.GROUPS: ("ADD", "ADD", "REMOVE", "RESET"),
            SharingMode.COMMUNITY: (
                "ENABLE_COMMUNITY",
                "ENABLE_COMMUNITY",
                "DISABLE_COMMUNITY",
                "BLOCK_CONSUMER",
                "UNBLOCK_CONSUMER",
                "RESET",
            ),
        }
        step = random.choice(steps[mode])
        after = _stepped(before, step, frozenset(subscriptions), frozenset(tenants))
        named = step in {"ADD", "REMOVE", "BLOCK_CONSUMER", "UNBLOCK_CONSUMER"}
        self._sequence += 1
        request = sharing_service_pb2.ApplySharingRequest(
            gallery=self._by.sent(gallery),
            gallery_uid=before.gallery_uid,
            sequence=self._sequence,
            profile=sharing_grant_pb2.SharingProfile(
                mode=sharing_grant_pb2.SharingMode.Value(f"SHARING_MODE_{after.mode.name}"),
                shared_id=before.shared_id.upper(),
                public_name=before.public_name.upper() if after.mode is _COMMUNITY else "",
            ),
            change=sharing_grant_pb2.SharingChange(
                operation=sharing_grant_pb2.SharingOperation.Value(f"SHARING_OPERATION_{step}"),
                subscriptions=subscriptions if named else (),
                tenants=tenants if named else (),
            ),
            request_id=str(uuid.uuid4()),
        )
        apply = self._by.catalog.sharing.ApplySharing
        if self._by.attempt(f"sharing {step}", lambda: apply(request)) is not None:
            self._by.world.put(after)


_COMMUNITY: Final = SharingMode.COMMUNITY


def _private(gallery: str) -> SharingGrant:
    """A gallery of which nothing was said yet."""
    uid = uuid.uuid4().hex
    return SharingGrant(
        gallery,
        uid,
        SharingMode.PRIVATE,
        shared_id=f"shared-{uid}",
        public_name=f"public-{uid}",
    )


def _stepped(
    grant: SharingGrant, step: str, subscriptions: frozenset[str], tenants: frozenset[str]
) -> SharingGrant:
    """What a step makes of a grant (sharing_grant.proto)."""
    if step in {"ADD", "REMOVE"}:
        join = frozenset.union if step == "ADD" else frozenset.difference
        return replace(
            grant,
            subscriptions=join(grant.subscriptions, subscriptions),
            tenants=join(grant.tenants, tenants),
        )
    if step in {"BLOCK_CONSUMER", "UNBLOCK_CONSUMER"}:
        join = frozenset.union if step == "BLOCK_CONSUMER" else frozenset.difference
        return replace(grant, blocked=join(grant.blocked, subscriptions | tenants))
    if step in {"ENABLE_COMMUNITY", "DISABLE_COMMUNITY"}:
        return replace(grant, community_enabled=step == "ENABLE_COMMUNITY")
    nobody: frozenset[str] = frozenset()
    return replace(
        grant,
        mode=SharingMode.PRIVATE,
        community_enabled=False,
        subscriptions=nobody,
        tenants=nobody,
        blocked=nobody,
    )
