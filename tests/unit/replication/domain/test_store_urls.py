"""URLs of stores."""

import pytest

from services.replication.domain.region import StoreAddress
from services.replication.domain.store_urls import parse_store_url


def test_credentials_and_settings_are_taken_out_of_a_url():
    found = parse_store_url("s3://key:se%2Fcret@bucket/a/b?endpoint=http://host:9000&region=x")
    assert found.url == "s3://bucket/a/b"
    assert found.options == {
        "access_key_id": "key",
        "secret_access_key": "se/cret",
        "endpoint": "http://host:9000",
        "region": "x",
    }
    assert "cret" not in repr(found)


def test_the_shown_url_keeps_what_is_stored():
    known = StoreAddress("s3://bucket/a", {"secret_access_key": "s"})
    assert parse_store_url("s3://bucket/a", known) is known
    assert parse_store_url("s3://bucket/b", known).options == {}
    assert parse_store_url("s3://bucket/a?region=y", known).options == {"region": "y"}


@pytest.mark.parametrize(
    "text",
    [
        *("file:///a/../b", "file:///", "file://host/a", "file:///a?x=y", "ftp://a/b", "s3:///a"),
        *("x", "file:///a%00b", "file:///a\nb", "file:///a%0Ab", "s3://a\tb", "file:///a/%2e%2e/b"),
        *("file:///a//b", "file:///%ff", f"file:///{'a' * 256}", f"file:///{'%C3%A9' * 128}"),
        *("s3://key:se/cret@bucket/a", "az://account:a+b/c==@container", "s3://bucket:9000/a"),
    ],
)
def test_what_is_no_store_is_refused(text):
    with pytest.raises(ValueError, match=r"URL|director"):
        parse_store_url(text)


def test_a_directory_is_kept_as_it_is():
    assert parse_store_url("file:///data/Region%201/") == StoreAddress("file:///data/Region%201")


@pytest.mark.parametrize("text", ["file:///data/%65ast", "file:///data/east/", "file:///data/east"])
def test_a_directory_has_one_spelling(text):
    assert parse_store_url(text) == StoreAddress("file:///data/east")


def test_what_a_url_cannot_hold_is_escaped():
    assert parse_store_url("file:///data/é x").url == "file:///data/%C3%A9%20x"
