"""Threat T8: whoever may not do something costs replication no statement of SQL."""

from collections.abc import Iterator

import grpc
import pytest

from cli.installation.identity import make_token
from tests.wire.authz.installation import Installation as Authz
from tests.wire.denied_statements import guarded, request, send, watched
from tests.wire.replication.service import Service, World

GUARDED = guarded(
    [
        f"stoa.replication.v1.{name}"
        for name in ("BlobService", "RegionService", "ReplicationService")
    ]
)


@pytest.fixture(scope="module")
def statements(
    authz: Authz, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Service, list[str]]]:
    """A service whose statements are seen, without its workers."""
    with watched("replication.db") as seen:
        service = Service(authz, tmp_path_factory.mktemp("watched"))
        yield service, seen
        service.close()


@pytest.mark.parametrize("name", GUARDED)
def test_t8_replication_looks_nothing_up_for_whom_the_method_is_not(
    statements: tuple[Service, list[str]], name: str
) -> None:
    service, seen = statements
    method = GUARDED[name]
    token = make_token(service.layout, subject="nobody", tenant="default")
    channel = service.nobody().channel
    seen.clear()
    assert send(channel, method, request(method), token) is grpc.StatusCode.PERMISSION_DENIED
    assert seen == []


def test_statements_of_whom_a_method_is_for_are_seen(
    statements: tuple[Service, list[str]],
) -> None:
    service, seen = statements
    World(service).region("home")
    assert seen
