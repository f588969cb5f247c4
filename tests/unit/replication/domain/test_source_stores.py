"""Source stores as the configuration names them."""

from pathlib import Path

import pytest

from services.kernel.config import ConfigError, load
from services.replication.config import Config
from services.replication.domain.region import StoreAddress
from services.replication.domain.source_stores import SourceStore, parse_source_stores

NEEDED = """
[replication]
page_token_secret = "0123456789abcdef0123456789abcdef"
grant_keys = "grants.jwks.json"
token_keys = "issuer.jwks.json"
token_issuer = "issuer"
database_url = "sqlite:///replication.db"
tls_certificate = "c"
tls_key = "k"
tls_authorities = "a"
"""


def test_an_entry_has_a_region_and_a_url():
    found = parse_source_stores(
        {
            "vhds": "eastus file:///srv/vhds/",
            "Team_A.images": "westus2  s3://key:se%2Fcret@bucket/vhds?region=x",
        }
    )
    assert found == {
        "vhds": SourceStore("eastus", StoreAddress("file:///srv/vhds")),
        "Team_A.images": SourceStore(
            "westus2",
            StoreAddress(
                "s3://bucket/vhds",
                {"region": "x", "access_key_id": "key", "secret_access_key": "se/cret"},
            ),
        ),
    }


@pytest.mark.parametrize(
    "text",
    ["", "eastus", "file:///srv/vhds", "East US file:///srv", "eastus /srv", "eastus file:///"],
)
def test_an_entry_that_is_none_is_refused(text: str):
    with pytest.raises(ValueError, match=r"region|URL|directory"):
        parse_source_stores({"vhds": text})


def test_everything_that_is_wrong_with_the_setting_is_told_at_once(tmp_path: Path):
    file = tmp_path / "config.toml"
    file.write_text(NEEDED + 'source_stores = {"a b" = "eastus file:///x", c = "eastus secret"}\n')
    with pytest.raises(ConfigError) as refused:
        load(Config, "replication", file=file, environ={})
    (problem,) = refused.value.problems
    assert "a b: a name has" in problem
    assert "c: a store URL begins" in problem
    assert "secret" not in problem


def test_a_variable_may_name_several_stores(tmp_path: Path):
    file = tmp_path / "config.toml"
    file.write_text(NEEDED)
    config = load(
        Config,
        "replication",
        file=file,
        environ={
            "STOA_REPLICATION_SOURCE_STORES": "a=eastus file:///a, b=westus s3://b/p?region=x"
        },
    )
    found = parse_source_stores(config.source_stores)
    assert {name: one.location for name, one in found.items()} == {"a": "eastus", "b": "westus"}
    assert found["b"].address.options == {"region": "x"}
