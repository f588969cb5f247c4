import json
import stat
from collections.abc import Callable
from pathlib import Path

import jwt
import pytest

from cli.errors import CliError, ExitCode
from cli.installation.identity import AUDIENCES, make_token, owner_token, public_jwk
from cli.installation.layout import Layout
from cli.installation.writing import write

Stoa = Callable[..., tuple[int, str, str]]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    found = Layout(tmp_path / "home")
    write(found, {})
    return found


def verified(layout: Layout, token: str, audience: str) -> dict[str, object]:
    keys = jwt.PyJWKSet.from_dict(json.loads((layout.identity / "issuer.jwks.json").read_text()))
    key = keys[jwt.get_unverified_header(token)["kid"]]
    issuer = layout.read_client().issuer
    claims: dict[str, object] = jwt.decode(
        token, key, algorithms=["ES256"], audience=audience, issuer=issuer
    )
    return claims


@pytest.mark.parametrize("audience", AUDIENCES)
def test_a_token_is_verified_by_the_published_key(audience: str, layout: Layout) -> None:
    claims = verified(layout, make_token(layout, subject="ada", tenant="t1", ttl=60), audience)
    assert (claims["sub"], claims["tid"]) == ("ada", "t1")
    assert claims["exp"] - claims["iat"] == 60  # type: ignore[operator]


def test_published_sets_hold_no_private_half(layout: Layout) -> None:
    for file in layout.identity.glob("*.jwks.json"):
        for key in json.loads(file.read_text())["keys"]:
            assert set(key) == {"kty", "crv", "x", "y", "use", "alg", "kid"}


def test_keys_are_for_the_owner_alone(layout: Layout) -> None:
    secret = [*layout.identity.glob("*.key"), *layout.identity.glob("*.secret")]
    assert len(secret) == 5
    assert {stat.S_IMODE(file.stat().st_mode) for file in secret} == {0o600}


def test_the_key_id_is_the_thumbprint_of_the_key(layout: Layout) -> None:
    pem = (layout.identity / "issuer.key").read_bytes()
    assert public_jwk(pem) == public_jwk(pem)
    assert (
        public_jwk(pem)["kid"] != public_jwk((layout.identity / "grants.key").read_bytes())["kid"]
    )


def test_the_owners_token_is_kept_while_it_lasts(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = owner_token(layout)
    assert owner_token(layout) == first
    assert stat.S_IMODE((layout.identity / "owner.token").stat().st_mode) == 0o600
    claims = jwt.decode(first, options={"verify_signature": False})
    monkeypatch.setattr("cli.installation.identity.time.time", lambda: claims["exp"] - 60)
    assert owner_token(layout) != first


@pytest.mark.parametrize("content", ["", "a.b.c", "no token"])
def test_a_damaged_token_is_made_anew(content: str, layout: Layout) -> None:
    (layout.identity / "owner.token").write_text(content)
    verified(layout, owner_token(layout), AUDIENCES[0])


def test_the_token_of_a_former_owner_is_not_used(layout: Layout) -> None:
    first = owner_token(layout)
    write(layout, {"owner": "grace"})
    second = owner_token(layout)
    assert first != second
    assert verified(layout, second, AUDIENCES[0])["sub"] == "grace"


def test_without_the_issuers_key_tokens_cannot_be_made(layout: Layout) -> None:
    (layout.identity / "issuer.key").unlink()
    with pytest.raises(CliError) as caught:
        make_token(layout, subject="ada", tenant="t1")
    assert caught.value.code is ExitCode.DENIED


def test_the_command_makes_a_token_for_whom_it_is_told(layout: Layout, stoa: Stoa) -> None:
    code, out, _ = stoa(
        "token", "--subject", "eve", "--tenant", "t2", "--audience", "one", "--ttl", "2m"
    )
    claims = verified(layout, out.strip(), "one")
    assert code == 0
    assert (claims["sub"], claims["tid"], claims["aud"]) == ("eve", "t2", ["one"])
    assert claims["exp"] - claims["iat"] == 120  # type: ignore[operator]


@pytest.mark.parametrize("ttl", ["0", "1w", "-5m", "soon"])
def test_what_is_no_duration_is_refused(ttl: str, layout: Layout, stoa: Stoa) -> None:
    assert stoa("token", f"--ttl={ttl}")[0] == ExitCode.USAGE
