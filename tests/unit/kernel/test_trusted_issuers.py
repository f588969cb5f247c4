"""The setting of trusted issuers says of each for whom it speaks, or the service does not start."""

from pathlib import Path

import pytest

from services.authz.config import Config
from services.kernel.config import ConfigError, load
from services.kernel.trusted_issuers import TrustedIssuer, issuers_of

IDP = "https://login.example.org/realms/acme"


def test_an_issuer_has_tenants_and_keys() -> None:
    assert issuers_of({IDP: f"acme beta {IDP}/certs", "https://b.test": "x /etc/b.json"}) == {
        IDP: TrustedIssuer(frozenset({"acme", "beta"}), f"{IDP}/certs"),
        "https://b.test": TrustedIssuer(frozenset({"x"}), "/etc/b.json"),
    }


@pytest.mark.parametrize(
    ("issuer", "text", "problem"),
    [
        ("http://login.example.org", "acme /keys.json", "no https URL"),
        ("login.example.org", "acme /keys.json", "no https URL"),
        (f"{IDP}?x=1", "acme /keys.json", "no https URL"),
        (f"https://{'a' * 512}", "acme /keys.json", "no https URL"),
        (IDP, "", "tenants and a JWK set"),
        (IDP, "/keys.json", "tenants and a JWK set"),
        (IDP, f"- {IDP}/certs", "tenants and a JWK set"),
        (IDP, f"a/b {IDP}/certs", "tenants and a JWK set"),
        (IDP, "acme ftp://login.example.org/certs", "a file or an https URL"),
    ],
)
def test_anything_else_is_a_problem_of_the_settings(issuer: str, text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        issuers_of({issuer: text})
    environ = {"STOA_AUTHZ_TRUSTED_ISSUERS": f"{issuer}={text}"}
    with pytest.raises(ConfigError):
        load(Config, "authz", file=None, environ=environ)


def test_the_issuer_of_the_installation_is_not_pinned_beside(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text(
        "[authz]\n"
        'tls_certificate = "a"\ntls_key = "b"\ntls_authorities = "c"\n'
        'database_url = "sqlite:///x"\npage_token_secret = "0123456789abcdef"\n'
        f'token_keys = "k"\ntoken_issuer = "{IDP}"\n'
        f'[authz.trusted_issuers]\n"{IDP}" = "acme /keys.json"\n'
    )
    with pytest.raises(ConfigError) as refused:
        load(Config, "authz", file=file, environ={})
    assert refused.value.problems == (
        "trusted_issuers: token_issuer is trusted for every tenant already",
    )
