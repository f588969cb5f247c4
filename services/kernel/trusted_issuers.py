"""The setting that names issuers of tokens beside the installation's own."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.kernel.names import id_problem

# What the directory takes for the issuer of an external identity.
_ISSUER: Final = re.compile(r"https://[^?# ]+")
_MAX_ISSUER: Final = 512


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """The tenants that an issuer may speak for, and where its JWK set is."""

    tenants: frozenset[str]
    keys: str


def issuers_of(setting: Mapping[str, str]) -> Mapping[str, TrustedIssuer]:
    """Read the setting, `ISSUER = "TENANT ... KEYS"`.

    Raises:
        ValueError: an entry has another form.
    """
    found = {}
    for issuer, text in setting.items():
        *tenants, keys = text.split() or [""]
        if len(issuer) > _MAX_ISSUER or not _ISSUER.fullmatch(issuer):
            raise ValueError(f"{issuer} is no https URL without query or fragment")
        if not tenants or any(id_problem(one) for one in tenants):
            raise ValueError(f"{issuer}: the ids of tenants and a JWK set are expected")
        if "://" in keys and not keys.startswith(("https://", "http://")):
            raise ValueError(f"{issuer}: a JWK set is a file or an https URL")
        found[issuer] = TrustedIssuer(frozenset(tenants), keys)
    return found


def trusted_issuers_problem(setting: Mapping[str, str]) -> str | None:
    """Say what is wrong with the setting, or None."""
    try:
        issuers_of(setting)
    except ValueError as error:
        return str(error)
    return None
