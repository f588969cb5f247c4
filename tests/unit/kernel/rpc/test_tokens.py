"""A token proves a caller only when everything about it is as pinned."""

import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from services.kernel.clock import FakeClock, SystemClock
from services.kernel.errors import Unauthenticated, Unavailable
from services.kernel.rpc.jwks import KeySource
from services.kernel.rpc.tokens import Issuer, TokenVerifier

ISSUER = "https://issuer.test"
RSA_ISSUER = "https://rsa.test"
AUDIENCE = "catalog"
EC_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_KEY = rsa.generate_private_key(65537, 2048)
ED_KEY = ed25519.Ed25519PrivateKey.generate()
OTHER_KEY = ec.generate_private_key(ec.SECP256R1())
RSA_PUBLIC_PEM = RSA_KEY.public_key().public_bytes(
    serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
)


def jwk(key: Any, kid: str, **more: Any) -> dict[str, Any]:
    algorithm: Any = {
        ec.EllipticCurvePublicKey: jwt.algorithms.ECAlgorithm,
        rsa.RSAPublicKey: jwt.algorithms.RSAAlgorithm,
        ed25519.Ed25519PublicKey: jwt.algorithms.OKPAlgorithm,
    }
    kind = next(found for type_, found in algorithm.items() if isinstance(key, type_))
    return dict(kind.to_jwk(key, as_dict=True)) | {"kid": kid} | more


def document(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


class Reads:
    """A key set that counts how often it is read."""

    def __init__(self, content: bytes) -> None:
        self.content: bytes | None = content
        self.count = 0

    def __call__(self) -> bytes:
        self.count += 1
        if self.content is None:
            raise OSError("the issuer is down")
        return self.content


@pytest.fixture
def source() -> Iterator[Callable[..., KeySource]]:
    made: list[KeySource] = []

    def make(read: Callable[[], bytes], **changes: Any) -> KeySource:
        made.append(KeySource(read, **changes))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(SystemClock().now())


@pytest.fixture
def reads() -> Reads:
    return Reads(
        document(
            jwk(EC_KEY.public_key(), "ec"),
            jwk(ED_KEY.public_key(), "ed"),
            jwk(RSA_KEY.public_key(), "rsa"),
            jwk(OTHER_KEY.public_key(), "enc", use="enc"),
            {"kty": "oct", "kid": "oct", "k": base64.urlsafe_b64encode(b"x" * 32).decode()},
        )
    )


@pytest.fixture
def verifier(source: Callable[..., KeySource], reads: Reads, clock: FakeClock) -> TokenVerifier:
    keys = source(reads, clock=clock)
    issuers = (
        Issuer(ISSUER, keys, frozenset({"ES256", "EdDSA"})),
        Issuer(RSA_ISSUER, keys, frozenset({"RS256"}), tenants=frozenset({"t1"})),
    )
    return TokenVerifier(AUDIENCE, issuers, clock=clock)


@pytest.fixture
def claims(clock: FakeClock) -> dict[str, Any]:
    now = int(clock.now().timestamp())
    return {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
        "tid": "t1",
        "iat": now,
        "exp": now + 600,
    }


def signed(claims: dict[str, Any], key: Any = EC_KEY, alg: str = "ES256", **headers: Any) -> str:
    return jwt.encode(claims, key, alg, headers={"kid": "ec"} | headers)


def part(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def test_a_token_proves_its_subject_and_tenant(
    verifier: TokenVerifier, claims: dict[str, Any]
) -> None:
    caller = verifier.verify(signed(claims, typ="at+jwt"))
    assert (caller.subject, caller.tenant, caller.workload) == ("ann", "t1", "")
    assert caller.expires == claims["exp"]
    assert caller.claims["iss"] == ISSUER
    assert "ann" in repr(caller)
    assert ISSUER not in repr(caller)


@pytest.mark.parametrize(
    ("key", "alg", "kid", "issuer"),
    [
        (EC_KEY, "ES256", "ec", ISSUER),
        (ED_KEY, "EdDSA", "ed", ISSUER),
        (RSA_KEY, "RS256", "rsa", RSA_ISSUER),
    ],
)
def test_each_pinned_algorithm_is_verified(
    verifier: TokenVerifier, claims: dict[str, Any], key: Any, alg: str, kid: str, issuer: str
) -> None:
    assert verifier.verify(signed(claims | {"iss": issuer}, key, alg, kid=kid)).subject == "ann"


def test_an_audience_among_several_is_accepted(
    verifier: TokenVerifier, claims: dict[str, Any]
) -> None:
    assert verifier.verify(signed(claims | {"aud": ["authz", AUDIENCE]})).subject == "ann"


def hostile() -> dict[str, Callable[[dict[str, Any]], str]]:
    """Tokens that must prove nothing, by what is wrong with them."""

    def unsigned(alg: str) -> Callable[[dict[str, Any]], str]:
        return lambda c: f"{part({'alg': alg, 'kid': 'ec'})}.{part(c)}."

    def confused(c: dict[str, Any]) -> str:
        body = (
            f"{part({'alg': 'HS256', 'kid': 'rsa', 'typ': 'JWT'})}.{part(c | {'iss': RSA_ISSUER})}"
        )
        mac = hmac.new(RSA_PUBLIC_PEM, body.encode(), hashlib.sha256).digest()
        return f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    def symmetric(c: dict[str, Any]) -> str:
        return jwt.encode(c, b"x" * 32, "HS256", headers={"kid": "oct"})

    def without(name: str) -> Callable[[dict[str, Any]], str]:
        return lambda c: signed({k: v for k, v in c.items() if k != name})

    def changed(**more: Any) -> Callable[[dict[str, Any]], str]:
        return lambda c: signed(c | more)

    def header(**more: Any) -> Callable[[dict[str, Any]], str]:
        return lambda c: signed(c, **more)

    def tampered(c: dict[str, Any]) -> str:
        head, _, signature = signed(c).split(".")
        return f"{head}.{part(c | {'sub': 'root'})}.{signature}"

    def repeated_header(c: dict[str, Any]) -> str:
        token = signed(c).split(".")
        return ".".join([part('{"alg":"ES256","kid":"ec","alg":"none"}'), *token[1:]])

    def repeated_claim(c: dict[str, Any]) -> str:
        body = json.dumps(c)[:-1] + ',"sub":"root"}'
        return jwt.api_jws.encode(body.encode(), EC_KEY, "ES256", headers={"kid": "ec"})

    public = jwk(OTHER_KEY.public_key(), "mine")
    return {
        "none": unsigned("none"),
        "None": unsigned("None"),
        "empty signature": lambda c: signed(c).rpartition(".")[0] + ".",
        "HS with the public RSA key": confused,
        "a symmetric key in the set": symmetric,
        "an algorithm of another issuer": lambda c: signed(c, RSA_KEY, "RS256", kid="rsa"),
        "a larger hash": lambda c: signed(c | {"iss": RSA_ISSUER}, RSA_KEY, "RS512", kid="rsa"),
        "another key": lambda c: signed(c, OTHER_KEY),
        "a key for encryption": lambda c: signed(c, OTHER_KEY, kid="enc"),
        "unknown kid": header(kid="nobody"),
        "no kid among several keys": lambda c: jwt.encode(c, EC_KEY, "ES256"),
        "kid a path": header(kid="../../etc/passwd"),
        "jku": header(jku="https://evil.test/keys"),
        "x5u": header(x5u="https://evil.test/cert"),
        "jwk": lambda c: signed(c, OTHER_KEY, jwk=public),
        "x5c": header(x5c=["MII"]),
        "crit": header(crit=["exp"]),
        "b64": header(b64=False, crit=["b64"]),
        "typ of an ID token": header(typ="id+jwt"),
        "typ a number": lambda c: f"{part({'alg': 'ES256', 'typ': 1})}.{part(c)}.AA",
        "wrong audience": changed(aud="authz"),
        "audience empty": changed(aud=""),
        "audience a prefix": changed(aud=AUDIENCE[:-1]),
        "audience an object": changed(aud={"catalog": True}),
        "issuer unknown": changed(iss="https://evil.test"),
        "issuer a list": lambda c: (
            f"{part({'alg': 'ES256', 'kid': 'ec'})}.{part(c | {'iss': [ISSUER]})}.AA"
        ),
        "issuer with a slash": changed(iss=ISSUER + "/"),
        "expired": lambda c: signed(c | {"exp": c["iat"] - 31}),
        "expiry infinite": lambda c: (
            f"{part({'alg': 'ES256', 'kid': 'ec'})}.{part(json.dumps(c | {'exp': math.inf}))}.AA"
        ),
        "expiry text": changed(exp="never"),
        "not yet valid": lambda c: signed(c | {"nbf": c["iat"] + 300}),
        "issued in the future": lambda c: signed(c | {"iat": c["iat"] + 300}),
        **{f"without {name}": without(name) for name in ("exp", "iat", "iss", "sub", "aud", "tid")},
        "subject a path": changed(sub="a/b"),
        "subject empty": changed(sub=""),
        "subject long": changed(sub="a" * 129),
        "subject a number": lambda c: signed(c | {"tid": 7}),
        "tenant a wildcard": changed(tid="-"),
        "tenant of another issuer": lambda c: signed(
            c | {"iss": RSA_ISSUER, "tid": "t2"}, RSA_KEY, "RS256", kid="rsa"
        ),
        "tampered": tampered,
        "header key repeated": repeated_header,
        "claim repeated": repeated_claim,
        "two parts": lambda c: signed(c).rpartition(".")[0],
        "four parts": lambda c: signed(c) + ".AA",
        "no base64": lambda _: "a.b.c",
        "deeply nested": lambda _: f"{part('[' * 4000)}.{part('{}')}.AA",
        "header a list": lambda c: f"{part([])}.{part(c)}.AA",
        "not ASCII": lambda _: "ä.ö.ü",
        "huge": lambda c: signed(c | {"x": "a" * 9000}),
        "a megabyte": lambda _: "a" * 1_000_000,
        "empty": lambda _: "",
    }


@pytest.mark.parametrize("name", hostile())
def test_t13_a_hostile_token_proves_nothing(
    verifier: TokenVerifier, claims: dict[str, Any], name: str
) -> None:
    with pytest.raises(Unauthenticated) as refused:
        verifier.verify(hostile()[name](claims))
    assert "eyJ" not in refused.value.message


def test_a_token_a_little_out_of_time_is_accepted(
    verifier: TokenVerifier, claims: dict[str, Any]
) -> None:
    # PyJWT reads the machine's clock, so these lie within the leeway of it.
    assert verifier.verify(signed(claims | {"exp": claims["iat"] - 20})).subject == "ann"
    assert verifier.verify(signed(claims | {"iat": claims["iat"] + 20})).subject == "ann"


def test_a_verified_token_is_not_verified_again_for_a_minute(
    verifier: TokenVerifier, claims: dict[str, Any], clock: FakeClock
) -> None:
    token = signed(claims)
    first = verifier.verify(token)
    clock.advance(59)
    assert verifier.verify(token) is first
    clock.advance(2)
    assert verifier.verify(token) is not first


def test_the_cache_never_outlives_the_token(
    verifier: TokenVerifier, claims: dict[str, Any], clock: FakeClock
) -> None:
    token = signed(claims | {"exp": claims["iat"] + 10})
    first = verifier.verify(token)
    clock.advance(11)
    assert verifier.verify(token) is not first


def test_a_refused_token_is_never_cached(verifier: TokenVerifier, claims: dict[str, Any]) -> None:
    token = signed(claims, OTHER_KEY)
    for _ in range(2):
        with pytest.raises(Unauthenticated):
            verifier.verify(token)


def test_a_new_key_is_found_once_its_id_is_seen(
    source: Callable[..., KeySource], clock: FakeClock, claims: dict[str, Any]
) -> None:
    reads = Reads(document(jwk(EC_KEY.public_key(), "ec")))
    verifier = TokenVerifier(AUDIENCE, [Issuer(ISSUER, source(reads, clock=clock))], clock=clock)
    reads.content = document(jwk(EC_KEY.public_key(), "ec"), jwk(OTHER_KEY.public_key(), "new"))
    assert verifier.verify(signed(claims, OTHER_KEY, kid="new")).subject == "ann"
    assert reads.count == 2


def test_a_key_asked_for_during_a_read_is_looked_for_after_it(
    source: Callable[..., KeySource], clock: FakeClock
) -> None:
    """A read that began before somebody asked may answer with what was true before."""
    began, go_on = threading.Semaphore(0), threading.Semaphore(0)
    count = itertools.count(1)

    def read() -> bytes:
        number = next(count)
        old = document(jwk(EC_KEY.public_key(), "ec"))
        if number == 2:
            began.release()
            assert go_on.acquire(timeout=10)
        return old if number < 3 else document(jwk(OTHER_KEY.public_key(), "new"))

    keys = source(read, clock=clock)
    found: list[object] = []

    def ask() -> None:
        with contextlib.suppress(Unavailable):
            found.append(keys.find("new"))

    first = threading.Thread(target=ask)
    first.start()
    assert began.acquire(timeout=10)
    clock.advance(31)
    second = threading.Thread(target=ask)
    second.start()
    while keys._asked < 2:  # until the second one waits
        second.join(0.001)
    go_on.release()
    first.join()
    second.join()
    assert next(count) == 4
    assert getattr(found[-1], "key_id", None) == "new"


def test_t14_invented_key_ids_cause_one_read_per_cooldown(
    source: Callable[..., KeySource], clock: FakeClock, claims: dict[str, Any]
) -> None:
    reads = Reads(document(jwk(EC_KEY.public_key(), "ec")))
    verifier = TokenVerifier(AUDIENCE, [Issuer(ISSUER, source(reads, clock=clock))], clock=clock)
    refusals = 0
    for number in range(100):
        try:
            verifier.verify(signed(claims, kid=f"invented-{number}"))
        except (Unauthenticated, Unavailable):
            refusals += 1
    assert (refusals, reads.count) == (100, 2)
    clock.advance(31)
    with pytest.raises(Unauthenticated):
        verifier.verify(signed(claims, kid="invented"))
    assert reads.count == 3


def test_t14_the_last_good_keys_stay_while_the_issuer_is_down(
    source: Callable[..., KeySource], clock: FakeClock, claims: dict[str, Any]
) -> None:
    reads = Reads(document(jwk(EC_KEY.public_key(), "ec")))
    verifier = TokenVerifier(AUDIENCE, [Issuer(ISSUER, source(reads, clock=clock))], clock=clock)
    for broken in (None, b"<html>", b"[]", b'{"keys": []}'):
        reads.content = broken
        clock.advance(61)
        with pytest.raises(Unauthenticated):
            verifier.verify(signed(claims, kid="unknown"))
        assert verifier.verify(signed(claims)).subject == "ann"
    assert reads.count == 5


def test_without_any_keys_so_far_the_answer_is_to_come_again(
    source: Callable[..., KeySource], clock: FakeClock, claims: dict[str, Any]
) -> None:
    reads = Reads(b"")
    verifier = TokenVerifier(AUDIENCE, [Issuer(ISSUER, source(reads, clock=clock))], clock=clock)
    with pytest.raises(Unavailable):
        verifier.verify(signed(claims))


def test_an_issuer_pins_algorithms_that_are_known(source: Callable[..., KeySource]) -> None:
    keys = source(Reads(b""))
    for algorithms in ({"HS256"}, {"none"}, {"ES256", "HS256"}, set()):
        with pytest.raises(ValueError, match="algorithms"):
            Issuer(ISSUER, keys, frozenset(algorithms))
