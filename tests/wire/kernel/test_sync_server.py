"""Calls of the sync server take the whole path and answer the right code with its details."""

from typing import Any

import grpc
import pytest

from services.kernel.rpc.access import Kind
from services.kernel.rpc.listeners import MAX_MESSAGE
from tests.wire.kernel.library import (
    ANN,
    Client,
    Grants,
    LibraryServicer,
    Tokens,
    detail_of,
    info_of,
    pb,
    status_of,
)

BOOK = "shelves/a/books/b"


def failed(call: Any, *args: Any, **kwargs: Any) -> Any:
    with pytest.raises(grpc.RpcError) as raised:
        call(*args, **kwargs)
    return raised.value


def test_a_permitted_call_is_answered(client: Client, servicer: LibraryServicer) -> None:
    assert client("GetBook", pb.GetBookRequest(name=BOOK)).name == BOOK
    call = servicer.calls[0]
    assert call.caller.id == ANN
    assert call.scope is not None
    assert call.scope.ids == {"shelf": "a", "book": "b"}
    assert 0 < call.time_remaining() <= 10
    assert not call.violations


def test_a_call_without_deadline_gets_the_cap_of_its_kind(
    client: Client, servicer: LibraryServicer
) -> None:
    client("GetBook", pb.GetBookRequest(name=BOOK), timeout=None)
    assert 20 < servicer.calls[0].time_remaining() <= 30


@pytest.mark.parametrize(
    ("book", "code", "reason", "detail"),
    [
        ("not_found", "NOT_FOUND", "RESOURCE_NOT_FOUND", "ResourceInfo"),
        ("exists", "ALREADY_EXISTS", "RESOURCE_EXISTS", "ResourceInfo"),
        ("aborted", "ABORTED", "ETAG_MISMATCH", "ErrorInfo"),
        ("quota", "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "QuotaFailure"),
        ("compacted", "OUT_OF_RANGE", "POSITION_COMPACTED", "ErrorInfo"),
        ("unavailable", "UNAVAILABLE", "DEPENDENCY_UNAVAILABLE", "RetryInfo"),
        ("deadline", "DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED", "ErrorInfo"),
        ("cancelled", "CANCELLED", "CANCELLED", "ErrorInfo"),
        ("unimplemented", "UNIMPLEMENTED", "UNIMPLEMENTED", "ErrorInfo"),
        ("bug", "INTERNAL", "INTERNAL", "RequestInfo"),
        ("internal", "INTERNAL", "INTERNAL", "RequestInfo"),
        ("huge", "INVALID_ARGUMENT", "INVALID_FIELDS", "BadRequest"),
    ],
)
def test_each_error_reaches_the_client_with_its_details(
    client: Client, book: str, code: str, reason: str, detail: str
) -> None:
    error = failed(client, "GetBook", pb.GetBookRequest(name=f"shelves/a/books/{book}"))
    assert error.code().name == code
    assert info_of(error).reason == reason
    assert detail_of(error, detail).ByteSize() > 0
    assert status_of(error).message == error.details()
    assert "secret" not in str(error)


def test_missing_token_is_unauthenticated(channel: grpc.Channel) -> None:
    error = failed(Client(channel), "GetBook", pb.GetBookRequest(name=BOOK))
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED
    assert info_of(error).reason == "UNAUTHENTICATED"


def test_two_tokens_are_unauthenticated(client: Client, tokens: Tokens) -> None:
    error = failed(client, "WhoAmI", pb.Text(), tokens.bearer())
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED


def test_t10_identity_headers_change_nothing(client: Client) -> None:
    answer = client("WhoAmI", pb.Text(), ("x-user-id", "root"), ("x-ms-client-principal", "root"))
    assert answer.text == f"{ANN} 0"


def test_tokens_of_other_tenants_come_along(client: Client, tokens: Tokens) -> None:
    other = ("x-stoa-authorization-auxiliary", f"Bearer {tokens.token(tid='t2')}")
    assert client("WhoAmI", pb.Text(), other).text == f"{ANN} 1"


def test_denied_and_absent_are_one_answer(client: Client) -> None:
    name = "shelves/secret/books/b"
    error = failed(client, "GetBook", pb.GetBookRequest(name=name, copies=9))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    assert error.details() == (
        f"Permission 'Library/books/read' denied on resource '{name}' (or it may not exist)."
    )
    assert info_of(error).metadata == {"permission": "Library/books/read", "resource": name}
    assert "google.rpc.BadRequest" not in {one.TypeName() for one in status_of(error).details}


def test_a_malformed_name_is_answered_with_everything_else_that_is_wrong(client: Client) -> None:
    error = failed(client, "GetBook", pb.GetBookRequest(name="books/b", copies=9))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    found = {one.field for one in detail_of(error, "BadRequest").field_violations}
    assert found == {"name", "copies"}


def test_the_servicer_raises_what_the_contract_found_with_its_own(client: Client) -> None:
    book = pb.Book(title="state", tags={"k": "v"})
    request = pb.CreateBookRequest(parent="shelves/a", book=book, book_id="x")
    error = failed(client, "CreateBook", request)
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    fields = {one.field for one in detail_of(error, "BadRequest").field_violations}
    assert fields == {"book_id", 'book.tags["k"]'}
    assert detail_of(error, "PreconditionFailure").violations[0].type == "LENT"


def test_state_alone_is_a_failed_precondition(client: Client) -> None:
    book = pb.Book(title="state")
    request = pb.CreateBookRequest(parent="shelves/a", book=book, book_id="xy")
    error = failed(client, "CreateBook", request)
    assert error.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert detail_of(error, "PreconditionFailure").violations[0].subject == "shelves/a"


def test_a_name_inside_a_message_is_the_scope(client: Client) -> None:
    error = failed(client, "UpdateBook", pb.UpdateBookRequest())
    assert detail_of(error, "BadRequest").field_violations[0].field == "book.name"
    found = client("UpdateBook", pb.UpdateBookRequest(book=pb.BookReference(name=BOOK)))
    assert found.name == BOOK


def test_without_a_scope_field_the_scope_is_the_installation(
    client: Client, grants: Grants
) -> None:
    error = failed(client, "CloseLibrary", pb.Text())
    assert info_of(error).metadata["resource"] == "/"
    grants.granted.add((ANN, "Library/close/action", "/"))
    assert client("CloseLibrary", pb.Text(text="now")).text == "now"


def test_lists_accept_a_wildcard_and_leave_the_decision_to_the_servicer(client: Client) -> None:
    assert client("ListBooks", pb.ListBooksRequest(parent="shelves/-")).books
    error = failed(client, "ListBooks", pb.ListBooksRequest(parent="shelves/other"))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED


def test_nothing_but_lists_accepts_a_wildcard(client: Client) -> None:
    error = failed(client, "GetBook", pb.GetBookRequest(name="shelves/-/books/b"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_the_action_by_name_is_decided_by_the_servicer(client: Client) -> None:
    assert client("ReadByName", pb.AnyRequest(name="Shelves/A")).text == "shelves/a"
    error = failed(client, "ReadByName", pb.AnyRequest(name="shelves/z/books/1"))
    assert info_of(error).metadata["permission"] == "Library/books/read"
    error = failed(client, "ReadByName", pb.AnyRequest(name="shelves"))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_method_that_the_servicer_lacks_is_unimplemented(client: Client) -> None:
    error = failed(client, "NotBuilt", pb.Text())
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert info_of(error).metadata["method"] == "/stoa.library.v1.LibraryService/NotBuilt"


@pytest.mark.parametrize("method", ["Reindex", "stoa.library.v1.StockService/CountStock"])
def test_methods_for_services_do_not_exist_for_clients(client: Client, method: str) -> None:
    error = failed(client, method, pb.Text())
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert info_of(error).reason == "UNIMPLEMENTED"


def test_bytes_that_are_no_message_are_an_invalid_argument(client: Client) -> None:
    error = failed(client, "GetBook", b"\xff\xff\xff")
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert info_of(error).reason == "INVALID_FIELDS"


def test_a_message_beyond_the_limit_is_refused_by_grpc_and_the_next_is_served(
    client: Client,
) -> None:
    error = failed(client, "GetBook", pb.GetBookRequest(name="x" * MAX_MESSAGE))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    # gRPC refuses it before the service hears of it, and knows no details.
    assert "grpc-status-details-bin" not in dict(error.trailing_metadata())
    assert client("GetBook", pb.GetBookRequest(name=BOOK)).name == BOOK


def test_a_policy_that_is_too_old_fails_closed(client: Client, grants: Grants) -> None:
    grants.unavailable = True
    error = failed(client, "GetBook", pb.GetBookRequest(name=BOOK))
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert info_of(error).metadata["service"] == "authz"


def test_the_policy_is_pinned_by_kind_and_consistency_token(client: Client, grants: Grants) -> None:
    request = pb.CreateBookRequest(parent="shelves/a", book_id="xy")
    _, call = client.with_call("CreateBook", request, ("x-consistency-token", "seen"))
    assert [(kind, token) for _, kind, token in grants.begun] == [(Kind.MUTATION, "seen")]
    assert ("x-consistency-token", "token-1") in [tuple(one) for one in call.trailing_metadata()]


def test_a_server_stream_answers_messages_then_its_error(client: Client) -> None:
    stream = client("WatchBooks", pb.ListBooksRequest(parent="shelves/a"))
    assert [next(stream).name for _ in range(3)][2] == "shelves/a/books/2"
    with pytest.raises(grpc.RpcError) as raised:
        next(stream)
    assert info_of(raised.value).reason == "RESOURCE_NOT_FOUND"


def test_a_server_stream_ends_well(client: Client, grants: Grants) -> None:
    grants.granted.add((ANN, "Library/books/read", "shelves/b"))
    found = list(client("WatchBooks", pb.ListBooksRequest(parent="shelves/b")))
    assert [book.name for book in found] == [f"shelves/b/books/{n}" for n in range(3)]


def test_a_client_stream_is_authorized_by_its_first_message(client: Client) -> None:
    pages = [pb.Page(book=BOOK, content=b"abc"), pb.Page(content=b"de")]
    assert client("UploadPages", iter(pages)).text == "5"
    error = failed(client, "UploadPages", iter([pb.Page(book="shelves/z/books/1")]))
    assert error.code() is grpc.StatusCode.PERMISSION_DENIED
    error = failed(client, "UploadPages", iter([]))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_later_message_that_breaks_a_rule_ends_a_client_stream(client: Client) -> None:
    error = failed(client, "UploadPages", iter([pb.Page(book=BOOK), pb.Page(number=101)]))
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert detail_of(error, "BadRequest").field_violations[0].field == "number"


def test_both_sides_stream(client: Client) -> None:
    found = [one.text for one in client("Converse", iter([pb.Text(text="a"), pb.Text(text="b")]))]
    assert found == ["ann: a", "ann: b"]
    with pytest.raises(grpc.RpcError) as raised:
        list(client("Converse", iter([pb.Text(text="bug")])))
    assert info_of(raised.value).reason == "INTERNAL"
