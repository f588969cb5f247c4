"""Answers names as they were written; the compiled policy knows nothing but their keys."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final

from services.authz.ports.policy import PolicyStore
from services.kernel.names import ROOT, parent

_COLLECTIONS: Final = {
    one.lower(): one
    for one in (
        "communityGalleries",
        "denyAssignments",
        "diskEncryptionSets",
        "eligibleAssignments",
        "managedImages",
        "managementGroups",
        "resourceGroups",
        "roleAssignments",
        "roleDefinitions",
        "servicePrincipals",
        "sharedGalleries",
        "storageAccounts",
        "virtualMachines",
    )
}


class Spelling:
    """The spelling of some names."""

    def __init__(
        self, known: Mapping[str, str], ids: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        self._known: Final = known
        self._ids: Final = ids

    @staticmethod
    def of(
        store: PolicyStore, keys: Iterable[str], known: Mapping[str, str] = MappingProxyType({})
    ) -> "Spelling":
        """Look up keys, and the subscriptions and tenants that they lie in, besides those known."""
        wanted = {key for key in keys if key != ROOT}
        wanted |= {"/".join(key.split("/")[:2]) for key in wanted}
        found = store.read(lambda facts: facts.spelled(wanted)) if wanted else {}
        return Spelling({**found, **known})

    def with_ids(self, ids: Mapping[str, str]) -> "Spelling":
        """Answer this, with ids that are spelled so wherever they stand."""
        return Spelling(self._known, ids)

    def __call__(self, key: str) -> str:
        """Answer the name of a key; an id that nobody wrote here stays as it is in the key."""
        known = self._known.get(key)
        if known is not None or key == ROOT or "/" not in key:
            return known or key
        above, (collection, own) = parent(key), key.rsplit("/", 2)[-2:]
        last = f"{_COLLECTIONS.get(collection, collection)}/{self._ids.get(own, own)}"
        return last if above == ROOT else f"{self(above)}/{last}"
