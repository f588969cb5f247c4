"""StorageAccountService on the wire: what is its alone."""

import grpc
import pytest

from tests.wire.catalog.installation import World, refused
from tests.wire.catalog.sources import STORAGE_ACCOUNT as ACCOUNT


def test_an_account_names_a_store_of_its_region(world: World) -> None:
    assert ACCOUNT.create(world).store == "images"

    request = ACCOUNT.request(world, location="West US", store="western")
    assert ACCOUNT.create(world, request).location == "westus"


@pytest.mark.parametrize("store", ["western", "nowhere"])
def test_a_store_that_is_not_allowed_in_the_region_is_refused(world: World, store: str) -> None:
    request = ACCOUNT.request(world, store=store)

    with refused(grpc.StatusCode.FAILED_PRECONDITION, "STORE_NOT_ALLOWED") as refusal:
        ACCOUNT.create(world, request)

    assert dict(refusal.info.metadata) == {"store": store, "location": "eastus"}
    assert ACCOUNT.listed(world, request.parent) == []


def test_nothing_is_made_while_nobody_knows_the_stores(world: World) -> None:
    request = ACCOUNT.request(world)
    world.replication.silent = True
    try:
        with refused(grpc.StatusCode.UNAVAILABLE, "DEPENDENCY_UNAVAILABLE"):
            ACCOUNT.create(world, request)
    finally:
        world.replication.silent = False

    assert ACCOUNT.listed(world, request.parent) == []


@pytest.mark.parametrize("store", ["", "https://example.org/", "../etc", "x" * 65])
def test_a_store_is_an_entry_and_never_a_url(world: World, store: str) -> None:
    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        ACCOUNT.create(world, ACCOUNT.request(world, store=store))

    assert set(refusal.fields) == {"storage_account.store"}


@pytest.mark.parametrize("account_id", ["ab", "Upper", "with-dash", "x" * 25])
def test_an_account_has_3_to_24_lower_case_letters_or_digits(world: World, account_id: str) -> None:
    request = ACCOUNT.request(world)
    request.storage_account_id = account_id

    with refused(grpc.StatusCode.INVALID_ARGUMENT) as refusal:
        ACCOUNT.create(world, request)

    assert set(refusal.fields) == {"storage_account_id"}


def test_accounts_are_filtered_by_their_store(world: World) -> None:
    made = ACCOUNT.create(world)
    group = made.name.partition("/storageAccounts/")[0]

    assert ACCOUNT.listed(world, group, filter="store = images")
    assert ACCOUNT.listed(world, group, filter="store = western") == []
