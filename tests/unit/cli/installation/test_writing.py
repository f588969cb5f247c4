import stat
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.errors import CliError, ExitCode
from cli.installation.choices import ports_from
from cli.installation.layout import SERVICES, Layout, default_data
from cli.installation.writing import choices_of, locked, write

Stoa = Callable[..., tuple[int, str, str]]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "home")


def config(layout: Layout) -> dict[str, dict[str, object]]:
    return tomllib.loads(layout.config.read_text())


def test_everything_is_written_for_the_owner_alone(layout: Layout) -> None:
    write(layout, {})
    assert set(config(layout)) == set(SERVICES)
    assert stat.S_IMODE(layout.data.stat().st_mode) == 0o700
    assert stat.S_IMODE(layout.config.stat().st_mode) == 0o600


def test_writing_again_changes_no_file(layout: Layout) -> None:
    write(layout, {"owner": "ada", "ports": ports_from(8400)})
    files = [file for file in layout.data.rglob("*") if file.is_file()]
    before = {file: file.read_bytes() for file in files}
    write(layout, {})
    assert {file: file.read_bytes() for file in files} == before


def test_what_is_given_later_changes_that_alone(layout: Layout) -> None:
    write(layout, {"owner": "ada"})
    keys = {file: file.read_bytes() for file in layout.data.rglob("*.key")}
    choices = write(layout, {"ports": ports_from(8400)})
    assert (choices.owner, choices.ports["authz"]) == ("ada", 8403)
    assert choices_of(layout) == choices
    assert layout.read_client().endpoints["authz"] == "127.0.0.1:8403"
    assert {file: file.read_bytes() for file in layout.data.rglob("*.key")} == keys


def test_an_edited_configuration_stays_and_is_not_written_over(layout: Layout) -> None:
    write(layout, {})
    edited = layout.config.read_text() + "\n# mine\n"
    layout.config.write_text(edited)
    write(layout, {})
    assert layout.config.read_text() == edited
    with pytest.raises(CliError) as caught:
        write(layout, {"owner": "ada"})
    assert caught.value.code is ExitCode.CONFLICT
    assert layout.config.read_text() == edited


def test_a_configuration_of_an_older_version_is_written_anew(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as older:
        older.setattr("cli.installation.writing.render", lambda *_, **__: "# older\n")
        write(layout, {})
    write(layout, {})
    assert set(config(layout)) == set(SERVICES)


def test_a_crash_before_the_record_was_written_is_made_up_for(layout: Layout) -> None:
    write(layout, {"owner": "ada"})
    files = {file: file.read_bytes() for file in layout.data.rglob("*") if file.is_file()}
    (layout.data / "installation.json").unlink()
    with pytest.raises(CliError):
        write(layout, {"owner": "grace"})
    write(layout, {"owner": "ada"})
    assert {file: file.read_bytes() for file in files} == files


def test_on_loopback_clients_need_no_tls(layout: Layout) -> None:
    write(layout, {})
    assert layout.read_client().ca_file == ""
    assert not [table for table in config(layout).values() if "client_tls" in table]


def test_beyond_loopback_clients_get_tls_of_the_same_authority(layout: Layout) -> None:
    write(
        layout,
        {"listen": "0.0.0.0", "hosts": {name: name for name in SERVICES}},
    )
    client = layout.read_client()
    assert client.ca_file == str(layout.ca_certificate)
    assert client.endpoints == {
        "catalog": "catalog:7401",
        "replication": "replication:7402",
        "authz": "authz:7403",
    }


def test_clients_use_tls_on_loopback_where_it_is_asked_for(layout: Layout) -> None:
    write(layout, {"tls": True})
    assert layout.read_client().ca_file == str(layout.ca_certificate)
    assert config(layout)["catalog"]["client_tls"] is True
    write(layout, {"tls": False})
    assert layout.read_client().ca_file == ""


@pytest.mark.parametrize(
    ("listen", "host"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("0.0.0.0", "127.0.0.1"),
        ("10.0.0.7", "10.0.0.7"),
        ("::1", "[::1]"),
    ],
)
def test_services_are_reached_where_they_listen(listen: str, host: str, layout: Layout) -> None:
    write(layout, {"listen": listen})
    assert layout.read_client().endpoints["catalog"] == f"{host}:7401"


def test_a_database_can_be_elsewhere(layout: Layout) -> None:
    url = "postgresql://stoa:secret@db/catalog"
    write(layout, {"database_urls": {"catalog": url}})
    assert config(layout)["catalog"]["database_url"] == url
    assert str(config(layout)["authz"]["database_url"]).startswith("sqlite:////")


def test_two_commands_do_not_write_at_once(layout: Layout) -> None:
    with locked(layout), pytest.raises(CliError) as caught, locked(layout):
        pytest.fail("both went on")
    assert caught.value.code is ExitCode.CONFLICT


def test_the_default_place_follows_the_environment(tmp_path: Path) -> None:
    assert default_data({"STOA_HOME": "/srv/stoa"}) == Path("/srv/stoa")
    assert default_data({}).name == "stoa"
    assert default_data({"XDG_STATE_HOME": "/var/x"}) in {
        Path("/var/x/stoa"),
        Path.home() / "Library" / "Application Support" / "stoa",
    }


@pytest.mark.parametrize("damage", ["[client]\n", "[client", ""])
def test_a_damaged_installation_is_named(damage: str, layout: Layout) -> None:
    write(layout, {})
    layout.client.write_text(damage)
    with pytest.raises(CliError, match=r"client\.toml"):
        layout.read_client()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--host", "catalog"),
        ("--host", "cinema=c"),
        ("--listen", "everywhere"),
        ("--ports", "many"),
        ("--ports", "catalog=1,authz=1"),
        ("--ports", "65530"),
        ("--ports", "cinema=1"),
        ("--database-url", "catalog="),
        ("--owner", "ada/lovelace"),
        ("--tenant", ""),
    ],
)
def test_options_that_mean_nothing_are_refused(
    arguments: tuple[str, ...], stoa: Stoa, tmp_path: Path
) -> None:
    code, _, err = stoa("init", *arguments)
    assert code == ExitCode.USAGE, err
    assert not Layout(tmp_path / "home").exists()
