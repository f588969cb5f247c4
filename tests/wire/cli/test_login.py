"""Signing in at a real issuer, and calling a real service as whoever signed in."""

import json
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from stoa.authz.v1 import principal_pb2, user_pb2

from cli.app import run
from cli.contexts import Context
from cli.errors import CliError, ExitCode, UsageProblem
from cli.installation.identity import make_token
from cli.login import kept
from cli.login.issuer import SLOWER, TokenIssuer
from tests.oidc import OidcIssuer
from tests.wire.authz.installation import Installation, World

CLIENT = "stoa-cli"
Stoa = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OidcIssuer]:
    found = OidcIssuer(tmp_path_factory.mktemp("issuer"))
    found.claims = {"aud": ["catalog.stoa.dev", "authz.stoa.dev"], "sub": "auth0|ann"}
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("SSL_CERT_FILE", str(found.authority))
        yield found
    found.stop()


@pytest.fixture(scope="module")
def authz(
    issuer: OidcIssuer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str, str]]:
    """The endpoint of a service that trusts the issuer, a subscription of Ann's, its owner."""
    installation = Installation(
        tmp_path_factory.mktemp("authz"),
        trusted_issuers={issuer.url: f"default {issuer.url}/keys"},
    )
    world = World(installation)
    ann = world.owner.directory.CreateUser(
        user_pb2.CreateUserRequest(
            parent="tenants/default",
            user=user_pb2.User(
                display_name="Ann",
                user_principal_name="ann@example.org",
                external_identity=principal_pb2.ExternalIdentity(
                    issuer=issuer.url, subject="auth0|ann"
                ),
            ),
        )
    )
    subscription = world.subscription()
    world.assign(ann.name, "Reader", subscription)
    port = next(port for audience, port in installation.ports.items() if audience.value == "client")
    owner = make_token(installation.layout, subject="owner", tenant="default")
    yield f"127.0.0.1:{port}", subscription, owner
    installation.close()


@pytest.fixture
def stoa(
    tmp_path: Path,
    issuer: OidcIssuer,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Stoa:
    for name in [one for one in os.environ if one.startswith("STOA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STOA_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("STOA_CONTEXTS", str(tmp_path / "contexts.toml"))
    issuer.lifetime, issuer.answers, issuer.discovery = 600, [], {}
    issuer.forms.clear()

    def call(*args: str) -> tuple[int, str, str]:
        code = run(args)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return call


def context(stoa: Stoa, issuer: OidcIssuer, authz: tuple[str, str, str]) -> None:
    added = ("--authz", authz[0], "--issuer", issuer.url, "--client-id", CLIENT)
    assert stoa("context", "add", "prod", *added)[0] == 0
    assert stoa("context", "use", "prod")[0] == 0


def subscriptions(stoa: Stoa) -> list[str]:
    code, out, err = stoa("subscription", "list", "-o", "json")
    assert code == 0, err
    return [one["name"] for one in json.loads(out)]


def secret(tmp_path: Path) -> Path:
    return tmp_path / "logins" / "prod.json"


def refreshes(issuer: OidcIssuer) -> int:
    return sum(one.get("grant_type") == "refresh_token" for one in issuer.forms)


def test_who_signed_in_calls_as_who_they_are_until_they_sign_out(
    stoa: Stoa, issuer: OidcIssuer, authz: tuple[str, str, str], tmp_path: Path
) -> None:
    context(stoa, issuer, authz)
    code, _, err = stoa("subscription", "list")
    assert code == ExitCode.DENIED
    assert "stoa login" in err
    issuer.answers = ["authorization_pending", "authorization_pending"]
    code, out, err = stoa("login")
    assert (code, out) == (0, "")
    assert f"{issuer.url}/activate and enter the code WDJB-MJHT" in err
    assert issuer.forms[0]["scope"] == "openid offline_access"
    assert "client_secret" not in str(issuer.forms)
    file = secret(tmp_path)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "eyJ" not in (tmp_path / "contexts.toml").read_text()
    assert subscriptions(stoa) == [authz[1]]
    printed = stoa("token")[1].strip()
    assert jwt.decode(printed, options={"verify_signature": False})["sub"] == "auth0|ann"
    assert refreshes(issuer) == 0
    assert stoa("logout")[0] == 0
    assert not file.exists()
    assert stoa("subscription", "list")[0] == ExitCode.DENIED


def test_an_expired_token_is_refreshed_once_and_the_new_one_kept(
    stoa: Stoa, issuer: OidcIssuer, authz: tuple[str, str, str], tmp_path: Path
) -> None:
    context(stoa, issuer, authz)
    issuer.lifetime = -100
    assert stoa("login")[0] == 0
    before = json.loads(secret(tmp_path).read_text())
    issuer.lifetime = 600
    for _ in range(3):
        assert subscriptions(stoa) == [authz[1]]
    assert refreshes(issuer) == 1
    after = json.loads(secret(tmp_path).read_text())
    assert after["refresh"] != before["refresh"]
    assert stat.S_IMODE(secret(tmp_path).stat().st_mode) == 0o600
    # Taken back by the issuer: nothing is left to call with, and the command says what to do.
    issuer.refresh_tokens.clear()
    secret(tmp_path).write_text(json.dumps(after | {"expires": 0}))
    code, _, err = stoa("subscription", "list")
    assert code == ExitCode.DENIED
    assert "Nobody is signed in to prod" in err
    assert "used before" in err
    assert "stoa login" in err


def test_while_the_issuer_is_away_a_token_is_used_as_long_as_it_is_good(
    stoa: Stoa, issuer: OidcIssuer, authz: tuple[str, str, str], tmp_path: Path
) -> None:
    context(stoa, issuer, authz)
    # Good for less than would be left alone.
    issuer.lifetime = int(kept.SPARE) - 5
    assert stoa("login")[0] == 0
    issuer.stop()
    try:
        assert subscriptions(stoa) == [authz[1]]
        found = json.loads(secret(tmp_path).read_text())
        secret(tmp_path).write_text(json.dumps(found | {"expires": 0}))
        code, _, err = stoa("subscription", "list")
        assert code == ExitCode.UNAVAILABLE
        assert "does not answer" in err
    finally:
        issuer.start()
    assert subscriptions(stoa) == [authz[1]]


def test_a_sign_in_is_sent_to_nobody_but_whom_it_is_of(
    stoa: Stoa, issuer: OidcIssuer, authz: tuple[str, str, str]
) -> None:
    context(stoa, issuer, authz)
    assert stoa("login")[0] == 0
    other = ("--authz", authz[0], "--issuer", "https://localhost:1", "--client-id", CLIENT)
    assert stoa("context", "add", "prod", *other)[0] == 0
    code, _, err = stoa("subscription", "list")
    assert code == ExitCode.DENIED
    assert "the sign-in is of" in err
    assert stoa("context", "remove", "prod")[0] == 0
    assert stoa("context", "add", "prod", *other[:2], *other[2:])[0] == 0
    assert "the sign-in is of" not in stoa("--context", "prod", "subscription", "list")[2]


@pytest.mark.parametrize("kind", ["user", "sp"])
def test_whom_a_subject_of_an_issuer_is_said_by_whoever_keeps_the_directory(
    stoa: Stoa,
    issuer: OidcIssuer,
    authz: tuple[str, str, str],
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
) -> None:
    context(stoa, issuer, authz)
    with monkeypatch.context() as owner:
        owner.setenv("STOA_TOKEN", authz[2])
        line = ["ad", kind, "create", "--display-name", "Eve", "--tenant", "default"]
        line += ["--user-principal-name", "eve@example.org"] if kind == "user" else []
        known = ("--external-issuer", issuer.url, "--external-subject", f"eve|{kind}")
        code, out, err = stoa(*line, *known, "-o", "json")
        assert code == 0, err
        made = json.loads(out)
        assert made["externalIdentity"] == {
            "issuer": issuer.url,
            "subject": f"eve|{kind}",
        }
        assert stoa(*line, *known)[0] == ExitCode.CONFLICT
        assert stoa(*line, *known[:2])[0] == ExitCode.USAGE
    monkeypatch.setitem(issuer.claims, "sub", f"eve|{kind}")
    assert stoa("login")[0] == 0
    code, out, err = stoa("explain", "galleries/read", "--scope", authz[1], "-o", "json")
    assert code == 0, err
    assert json.loads(out)["subject"]["principalId"] == made["name"].rpartition("/")[2]


def test_the_issuer_is_asked_as_seldom_as_it_wants(issuer: OidcIssuer, stoa: Stoa) -> None:
    waited: list[float] = []
    asked = TokenIssuer(issuer.url, CLIENT, wait=waited.append)
    issuer.interval = 3
    issuer.answers = ["authorization_pending", "slow_down", "authorization_pending"]
    try:
        assert asked.finish(asked.begin("openid")).access
    finally:
        issuer.interval = 0
    assert waited == [3, 3, 3 + SLOWER, 3 + SLOWER]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("access_denied", "The sign-in was refused."),
        ("expired_token", "Nobody signed in in time."),
        ("invalid_client", "The token issuer refuses."),
    ],
)
def test_a_sign_in_that_comes_to_nothing_says_why(
    stoa: Stoa,
    issuer: OidcIssuer,
    authz: tuple[str, str, str],
    tmp_path: Path,
    answer: str,
    said: str,
) -> None:
    context(stoa, issuer, authz)
    issuer.answers = ["authorization_pending", answer]
    code, _, err = stoa("login")
    assert code == ExitCode.DENIED
    assert said in err
    assert not secret(tmp_path).exists()


@pytest.mark.parametrize(
    ("discovery", "said"),
    [
        ({"issuer": "https://another.example.org"}, "says that it is https://another.example.org"),
        ({"device_authorization_endpoint": None}, "it has no device_authorization_endpoint"),
        ({"token_endpoint": "http://idp.example.org/token"}, "asked by https"),
    ],
)
def test_an_issuer_that_is_another_one_or_insecure_gets_nothing(
    stoa: Stoa, issuer: OidcIssuer, discovery: dict[str, Any], said: str
) -> None:
    issuer.discovery = discovery
    with pytest.raises(CliError) as refused:
        TokenIssuer(issuer.url, CLIENT)
    assert said in " ".join((refused.value.what, *refused.value.why))
    assert issuer.forms == []


@pytest.mark.parametrize("url", ["http://idp.example.org", "ftp://localhost", "idp", "https://"])
def test_an_issuer_is_asked_by_https(url: str) -> None:
    with pytest.raises(UsageProblem, match="https"):
        TokenIssuer(url, CLIENT)


def test_an_issuer_whose_certificate_nobody_knows_is_asked_nothing(
    stoa: Stoa, issuer: OidcIssuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(CliError) as refused:
        TokenIssuer(issuer.url, CLIENT)
    assert refused.value.code is ExitCode.UNAVAILABLE
    assert "CERTIFICATE_VERIFY_FAILED" in str(refused.value.why)


def test_a_file_that_is_damaged_is_no_sign_in(stoa: Stoa, tmp_path: Path) -> None:
    there = Context("prod", issuer="https://idp.test", client_id=CLIENT)
    secret(tmp_path).parent.mkdir()
    for content in ("", "[]", "{}", '{"issuer": 1}', "\xff"):
        secret(tmp_path).write_text(content)
        with pytest.raises(CliError, match="Nobody is signed in"):
            kept.token(there)
