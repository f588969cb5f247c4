"""Tokens of several issuers, whose keys come by HTTPS, change, and are sometimes not to be had."""

import socket
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest

from services.kernel.clock import FakeClock, SystemClock
from services.kernel.rpc.identity import BearerAuthenticator
from services.kernel.rpc.jwks import COOLDOWN, KeySource, reader
from services.kernel.rpc.listeners import Guards, Listen, ServerSettings
from services.kernel.rpc.registry import Audience
from services.kernel.rpc.server import Server
from services.kernel.rpc.tokens import CACHED_FOR, Issuer, TokenVerifier
from tests.oidc import OidcIssuer
from tests.unit.kernel.rpc.test_tokens import AUDIENCE as HOSTILE_AUDIENCE
from tests.unit.kernel.rpc.test_tokens import (
    EC_KEY,
    ED_KEY,
    OTHER_KEY,
    RSA_ISSUER,
    RSA_KEY,
    hostile,
    jwk,
    signed,
)
from tests.unit.kernel.rpc.test_tokens import ISSUER as HOSTILE_ISSUER
from tests.wire.kernel.library import (
    AUDIENCE,
    DOMAIN,
    LIBRARY,
    Client,
    Grants,
    LibraryServicer,
    Tokens,
    info_of,
    pb,
)

Code = grpc.StatusCode
Stub = Callable[[str], Client]


class Doors(NamedTuple):
    """A server that trusts two issuers, one for two tenants and one for another."""

    first: OidcIssuer
    second: OidcIssuer
    clock: FakeClock
    call: Callable[..., str]


@pytest.fixture
def doors(tmp_path: Path, tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doors]:
    issuers = [OidcIssuer(tmp_path / name) for name in ("first", "second")]
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"".join(one.authority.read_bytes() for one in issuers))
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    clock = FakeClock(SystemClock().now())
    sources = [KeySource(reader(f"{one.url}/keys"), clock=clock) for one in issuers]
    pinned = (frozenset({"t1", "t2"}), frozenset({"t3"}))
    trusted = [
        Issuer(issuer.url, source, tenants=tenants, external=True)
        for issuer, source, tenants in zip(issuers, sources, pinned, strict=True)
    ]
    own = Issuer("https://issuer.test", tokens.source)
    verifier = TokenVerifier(AUDIENCE, [own, *trusted], clock=clock)
    settings = ServerSettings(DOMAIN, client=Listen("127.0.0.1:0"), grace=0.2)
    server = Server(settings, Guards(BearerAuthenticator(verifier), Grants()))
    server.register(LIBRARY, LibraryServicer())
    port = server.start()[Audience.CLIENT]
    for one in issuers:
        one.claims = {"aud": AUDIENCE, "sub": "ann", "tid": "t1"}
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:

        def call(token: str) -> str:
            bearer = ("authorization", f"Bearer {token}")
            return str(Client(channel, bearer)("WhoAmI", pb.Text()).text)

        yield Doors(issuers[0], issuers[1], clock, call)
    server.stop()
    for source in sources:
        source.close()
    for one in issuers:
        one.stop()


def refused(doors: Doors, token: str, message: str = "") -> None:
    with pytest.raises(grpc.RpcError) as raised:
        doors.call(token)
    error: Any = raised.value
    assert error.code() is Code.UNAUTHENTICATED, error
    assert info_of(error).reason == "UNAUTHENTICATED"
    assert message in error.details()


def test_each_issuer_names_its_own_people(doors: Doors, tokens: Tokens) -> None:
    own = doors.call(tokens.token())
    first = doors.call(doors.first.token())
    second = doors.call(doors.second.token(tid="t3"))
    elsewhere = doors.call(doors.first.token(tid="t2"))
    assert own == "t1/ann 0"
    assert len({own, first, second, elsewhere}) == 4
    assert doors.call(doors.first.token()) == first


def test_an_issuer_speaks_for_its_tenants_and_no_other(doors: Doors) -> None:
    assert doors.call(doors.first.token(tid="t2"))
    for issuer, tenant in ((doors.first, "t3"), (doors.second, "t1"), (doors.first, "T1")):
        refused(doors, issuer.token(tid=tenant), "does not speak for its tenant")


def test_a_token_without_a_tenant_is_of_the_only_one_that_its_issuer_speaks_for(
    doors: Doors,
) -> None:
    assert doors.call(doors.second.token(tid=None)) == doors.call(doors.second.token(tid="t3"))
    refused(doors, doors.first.token(tid=None))


def test_the_keys_of_one_issuer_sign_for_no_other(doors: Doors) -> None:
    refused(doors, doors.first.token(iss=doors.second.url, tid="t3"), "unknown key")
    # Not even under the id of a key that the other one has.
    kid, _ = doors.second.keys[-1]
    doors.first.keys.append((kid, doors.first.keys[-1][1]))
    refused(doors, doors.first.token(iss=doors.second.url, tid="t3"))


@pytest.mark.parametrize("subject", ["auth0|5f7c8ec7c33c6c004bbafe82", "Ann Smith", "a" * 255])
def test_another_issuer_calls_people_as_it_likes(doors: Doors, subject: str) -> None:
    assert doors.call(doors.first.token(sub=subject)).startswith("external/t1/")


@pytest.mark.parametrize("subject", ["", "a" * 256, "a\nb", "ünïcode", 7])
def test_a_subject_is_what_openid_connect_lets_it_be(doors: Doors, subject: Any) -> None:
    refused(doors, doors.first.token(sub=subject))


def test_a_new_key_is_taken_when_it_is_first_seen_and_the_old_one_goes_with_it(
    doors: Doors,
) -> None:
    before = doors.first.token()
    assert doors.call(before)
    doors.first.rotate(keep=False)
    assert doors.call(doors.first.token())
    assert doors.first.fetched == ["/keys"] * 2
    doors.clock.advance(CACHED_FOR + 1)
    refused(doors, before, "unknown key")
    assert doors.second.fetched == ["/keys"]


def test_t14_what_the_issuer_signed_is_accepted_while_it_is_away(doors: Doors) -> None:
    before = doors.first.token()
    assert doors.call(before)
    doors.first.stop()
    try:
        for _ in range(3):
            doors.clock.advance(CACHED_FOR + 1)
            assert doors.call(before)
            assert doors.call(doors.first.token(jti=uuid.uuid4().hex))
            doors.first.rotate()
            refused(doors, doors.first.token(), "unknown key")
            doors.first.keys.pop()
        doors.first.rotate()
    finally:
        doors.first.start()
    doors.clock.advance(COOLDOWN + 1)
    assert doors.call(doors.first.token())


def test_t14_ten_thousand_invented_keys_are_one_fetch_in_a_cooldown(doors: Doors) -> None:
    header, claims, signature = doors.first.token().split(".")
    fetched = len(doors.first.fetched)
    source = KeySource(reader(f"{doors.first.url}/keys"), clock=doors.clock)
    try:
        verifier = TokenVerifier(AUDIENCE, [Issuer(doors.first.url, source)], clock=doors.clock)
        assert verifier.verify(f"{header}.{claims}.{signature}").tenant == "t1"
        for _ in range(10_000):
            assert source.find(uuid.uuid4().hex) is None
        assert len(doors.first.fetched) == fetched + 2
        doors.clock.advance(COOLDOWN + 1)
        for _ in range(10):
            assert source.find(uuid.uuid4().hex) is None
        assert len(doors.first.fetched) == fetched + 3
        assert verifier.verify(f"{header}.{claims}.{signature}").tenant == "t1"
    finally:
        source.close()


def test_a_key_set_by_http_from_another_machine_or_by_a_redirect_is_not_taken(
    doors: Doors, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ValueError, match="https"):
        reader("http://idp.example.org/keys")
    # Who answers for the issuer has to prove it.
    monkeypatch.setenv("SSL_CERT_FILE", str(doors.second.authority))
    with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
        reader(f"{doors.first.url}/keys")()


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[OidcIssuer, Stub]]:
    """A server that takes tokens by the keys with which the hostile ones are made."""
    issuer = OidcIssuer(tmp_path_factory.mktemp("issuer"), secure=False)
    keys = [
        jwk(EC_KEY.public_key(), "ec"),
        jwk(ED_KEY.public_key(), "ed"),
        jwk(RSA_KEY.public_key(), "rsa"),
        jwk(OTHER_KEY.public_key(), "enc", use="enc"),
    ]
    keys.append({"kty": "oct", "kid": "oct", "k": "eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHh4eHg"})
    issuer.published = {"keys": keys}
    source = KeySource(reader(f"{issuer.url}/keys"))
    verifier = TokenVerifier(
        HOSTILE_AUDIENCE,
        [
            Issuer(HOSTILE_ISSUER, source, frozenset({"ES256", "EdDSA"})),
            Issuer(RSA_ISSUER, source, frozenset({"RS256"}), tenants=frozenset({"t1"})),
        ],
    )
    settings = ServerSettings(DOMAIN, client=Listen("127.0.0.1:0"), grace=0.2)
    server = Server(settings, Guards(BearerAuthenticator(verifier), Grants()))
    server.register(LIBRARY, LibraryServicer())
    port = server.start()[Audience.CLIENT]
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield issuer, lambda token: Client(channel, ("authorization", f"Bearer {token}"))
    server.stop()
    source.close()
    issuer.stop()


# The transport refuses what is no text, and what is larger than all metadata may be.
WIRE = sorted(hostile().keys() - {"not ASCII", "a megabyte", "huge"})


def hostile_claims() -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": HOSTILE_ISSUER,
        "aud": HOSTILE_AUDIENCE,
        "sub": "ann",
        "tid": "t1",
        "iat": now,
        "exp": now + 600,
    }


@pytest.mark.parametrize("name", WIRE)
def test_t13_a_hostile_token_opens_no_door_and_has_nothing_fetched(
    victim: tuple[OidcIssuer, Stub], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(WIRE) >= 40
    issuer, door = victim
    good = signed(hostile_claims())
    assert door(good)("WhoAmI", pb.Text()).text == "t1/ann 0"
    connected: list[object] = []
    connect = socket.socket.connect

    def recorded(self: socket.socket, address: Any) -> None:
        connected.append(address)
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", recorded)
    with pytest.raises(grpc.RpcError) as raised:
        door(hostile()[name](hostile_claims()))("WhoAmI", pb.Text())
    error: Any = raised.value
    assert (error.code(), info_of(error).reason) == (Code.UNAUTHENTICATED, "UNAUTHENTICATED")
    # A key id that nobody knows may be a new one: that is looked up at the issuer, nowhere else.
    looked_up = name in {"unknown kid", "kid a path", "a key for encryption"}
    assert len(connected) <= int(looked_up)
    assert set(issuer.fetched) == {"/keys"}
