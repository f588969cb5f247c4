"""Writes a data directory, or what is missing of it; keys are never written over."""

import fcntl
import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cli.errors import CliError, ExitCode
from cli.installation.choices import Choices, Written
from cli.installation.files import private_folder, write_public, write_secret
from cli.installation.identity import write_identity
from cli.installation.layout import SERVICES, ClientView, Layout
from cli.installation.pki import write_pki
from cli.installation.settings import address, render

_RECORD: Final = "installation.json"


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Keep other commands from writing or starting the same installation at the same time."""
    private_folder(layout.data)
    with (layout.data / ".lock").open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CliError(
                f"Another command is working on {layout.data}.",
                todo="Wait for it and repeat.",
                code=ExitCode.CONFLICT,
            ) from None
        yield


def choices_of(layout: Layout) -> Choices | None:
    """What was chosen for the installation, None where there is none."""
    written = Written.load(layout.data / _RECORD)
    return written.choices if written is not None else None


def write(layout: Layout, given: Mapping[str, Any]) -> Choices:
    """Make the data directory complete; answer what it is written for.

    `given` holds the choices that were made this time; for what is None the former ones stay.

    Raises:
        CliError: config.toml would change and somebody has edited it.
    """
    before = Written.load(layout.data / _RECORD)
    choices = (before.choices if before is not None else Choices()).changed(given)
    for folder in (layout.data, layout.stores, *(layout.state(service) for service in SERVICES)):
        private_folder(folder)
    hosts = {service: _hosts(choices, service) for service in SERVICES}
    write_pki(layout, hosts)
    write_identity(layout)
    issuer = _issuer(layout)
    config = render(layout, choices, issuer=issuer, secrets=_page_secrets(layout))
    client = ClientView(
        endpoints={service: address(choices, service) for service in SERVICES},
        ca_file="" if choices.plaintext else str(layout.ca_certificate),
        issuer=issuer,
        tenant=choices.tenant,
        subscription=choices.subscription,
        owner=choices.owner,
    )
    digest = _write_config(layout, config, choices, before)
    write_public(layout.client, client.to_toml())
    Written(choices, digest).save(layout.data / _RECORD)
    return choices


def _write_config(layout: Layout, config: str, choices: Choices, before: Written | None) -> str:
    """Write the file unless somebody edited it; answer the digest of what was written last."""
    found = layout.config.read_text() if layout.config.exists() else None
    written = before.config_digest if before is not None else ""
    if found is not None and found != config and _digest(found) != written:
        if before is not None and choices == before.choices:
            return written
        raise CliError(
            f"{layout.config} was edited, and these options would write it over.",
            todo="Make the change in the file, or remove the file and repeat.",
            code=ExitCode.CONFLICT,
        )
    if found != config:
        write_secret(layout.config, config)
    return _digest(config)


def _hosts(choices: Choices, service: str) -> tuple[str, ...]:
    named = (choices.hosts.get(service, ""), choices.listen)
    return tuple(host for host in named if host not in {"", "0.0.0.0", "::"})  # noqa: S104


def _issuer(layout: Layout) -> str:
    """The name of the token issuer: of this key alone, so no other installation's is accepted."""
    keys = json.loads((layout.identity / "issuer.jwks.json").read_text())
    return f"https://stoa.localhost/{keys['keys'][0]['kid'][:16]}"


def _page_secrets(layout: Layout) -> dict[str, str]:
    found = {}
    for service in SERVICES:
        file = layout.identity / f"{service}.secret"
        if not file.exists():
            write_secret(file, secrets.token_hex(32))
        found[service] = file.read_text()
    return found


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def data_of(given: Path | None) -> Layout:
    """The layout of `--data`, or of the default data directory."""
    from cli.installation.layout import default_data

    return Layout(given if given is not None else default_data())
