"""What the services are told: `config.toml`, one section for each service.

The names are those of the services' own settings (`stoa config` prints what a service makes of
them); what is not said here has its default there. Values are absolute, since services and
containers have other working directories.
"""

from typing import Any, Final

from cli.installation.choices import Choices
from cli.installation.layout import Layout
from cli.installation.pki import TRUST_DOMAIN
from cli.toml import dump

_HEADER: Final = """\
Configuration of this installation, written by `stoa init`. It may be edited: it is then no
longer written over. `stoa config` prints every setting with its value; an environment
variable such as STOA_CATALOG_LOG_LEVEL stands before the file.
"""


def render(layout: Layout, choices: Choices, *, issuer: str, secrets: dict[str, str]) -> str:
    """The file for these choices; `secrets` are those of the services' page tokens."""
    sections = {
        service: {
            **_common(layout, choices, service, issuer),
            "page_token_secret": secrets[service],
        }
        for service in ("authz", "replication", "catalog")
    }
    sections["authz"] |= _authz(choices)
    sections["replication"] |= _replication(layout, choices)
    sections["catalog"] |= _catalog(layout, choices)
    header = "".join(f"# {line}\n" for line in _HEADER.splitlines())
    return header + "\n" + dump(sections)


def address(choices: Choices, listener: str) -> str:
    """How a listener is reached: `catalog` for clients, `catalog-internal` for services."""
    return _join(choices.host(listener.partition("-")[0]), choices.ports[listener])


def _common(layout: Layout, choices: Choices, service: str, issuer: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        "client_listen": _join(choices.listen, choices.ports[service]),
        "internal_listen": _join(choices.listen, choices.ports[f"{service}-internal"]),
        "database_url": choices.database_urls.get(service)
        or f"sqlite:///{layout.state(service) / f'{service}.db'}",
        "trust_domain": TRUST_DOMAIN,
        "tls_certificate": str(layout.certificate(service)),
        "tls_key": str(layout.key(service)),
        "tls_authorities": str(layout.ca_certificate),
        "token_issuer": issuer,
        "token_keys": str(layout.identity / "issuer.jwks.json"),
        "token_audience": f"{service}.stoa.dev",
    }
    if choices.plaintext:
        # The services share this machine with whoever tries them; 0 would be one a core.
        found["servers"] = 1
    else:
        found["client_tls"] = True
    return found


def _authz(choices: Choices) -> dict[str, Any]:
    return {
        "feed_listen": _join(choices.listen, choices.ports["authz-feed"]),
        "bootstrap_tenant": choices.tenant,
        "bootstrap_subscription": choices.subscription,
        "bootstrap_owner": choices.owner,
    }


def _replication(layout: Layout, choices: Choices) -> dict[str, Any]:
    return {
        "authz_address": address(choices, "authz-internal"),
        "authz_feed_address": address(choices, "authz-feed"),
        "grant_keys": str(layout.identity / "grants.jwks.json"),
        "store_root": str(layout.stores),
    }


def _catalog(layout: Layout, choices: Choices) -> dict[str, Any]:
    return {
        "authz_address": address(choices, "authz-internal"),
        "authz_feed_address": address(choices, "authz-feed"),
        "replication_address": address(choices, "replication-internal"),
        "grant_key": str(layout.identity / "grants.key"),
    }


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
