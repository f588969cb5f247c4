import socket

import pytest

from cli.errors import CliError, ExitCode
from cli.installation import ports
from cli.installation.choices import LISTENERS, Choices, ports_from
from cli.installation.ports import parse, refuse_taken, taken


def test_a_base_gives_every_listener_its_port() -> None:
    found = parse("8400", None)
    assert found["catalog"] == 8401
    assert found["authz-feed"] == 8404
    assert found["replication-internal"] == 8412


def test_single_ports_leave_the_others_as_they_were() -> None:
    before = Choices(ports=ports_from(8400))
    assert parse("catalog=9001", before) == {**before.ports, "catalog": 9001}


def test_auto_finds_different_free_ports_and_keeps_them() -> None:
    found = parse("auto", None)
    assert set(found) == set(LISTENERS)
    assert len(set(found.values())) == len(LISTENERS)
    choices = Choices(ports=found)
    assert not taken(choices)
    assert parse("auto", choices) == found


def test_auto_takes_no_port_that_a_system_gives_to_whoever_asks_for_any() -> None:
    with socket.create_server(("127.0.0.1", 0)) as any_port:
        assert max(parse("auto", None).values()) < 32_768 <= any_port.getsockname()[1]


def test_auto_says_where_it_looked_in_vain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_CANDIDATES", range(20_000, 20_000 + len(LISTENERS) - 1))
    with pytest.raises(CliError) as caught:
        parse("auto", None)
    assert caught.value.code is ExitCode.CONFLICT
    assert caught.value.why == (f"looked at 20000 to {20_000 + len(LISTENERS) - 2}",)


def test_auto_leaves_a_port_that_somebody_took() -> None:
    choices = Choices(ports=parse("auto", None))
    with socket.create_server(("127.0.0.1", choices.ports["authz"])):
        assert parse("auto", choices)["authz"] != choices.ports["authz"]


def test_a_taken_port_is_named_with_its_listener() -> None:
    choices = Choices(ports=parse("auto", None))
    port = choices.ports["authz-feed"]
    with socket.create_server(("127.0.0.1", port)):
        with pytest.raises(CliError) as caught:
            refuse_taken(choices, choices.ports)
        assert caught.value.code is ExitCode.CONFLICT
        assert caught.value.why == (f"127.0.0.1:{port} (authz-feed)",)
        refuse_taken(choices, {"catalog": choices.ports["catalog"]})
