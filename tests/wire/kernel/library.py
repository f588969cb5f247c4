"""The contract, the servicers, the access and the callers that the kernel is tested with."""

import importlib
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_tools import protoc

from services.kernel import errors
from services.kernel.names import key
from services.kernel.rpc.access import Access, Caller, Kind
from services.kernel.rpc.call import Call
from services.kernel.rpc.identity import BearerAuthenticator
from services.kernel.rpc.jwks import KeySource
from services.kernel.rpc.path import serialized
from services.kernel.rpc.tokens import Issuer, TokenVerifier

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
DOMAIN = "library.stoa.dev"
LIBRARY = "stoa.library.v1.LibraryService"
STOCK = "stoa.library.v1.StockService"
BROKEN = "stoa.library.v1.BrokenService"
ISSUER = "https://issuer.test"
AUDIENCE = "library"


def load() -> Any:
    """Compile the contract and answer its messages by name."""
    pool = descriptor_pool.Default()
    file = "stoa/library/v1/library.proto"
    try:
        pool.FindFileByName(file)
    except KeyError:
        _compile(pool, file)
    names = pool.FindFileByName(file).message_types_by_name
    return SimpleNamespace(
        **{name: message_factory.GetMessageClass(found) for name, found in names.items()}
    )


def _compile(pool: Any, file: str) -> None:
    for imported in ("buf.validate.validate_pb2", "stoa.type.v1.method_policy_pb2"):
        importlib.import_module(imported)

    includes = [HERE / "protos", ROOT / "protos", ROOT / "third_party" / "protos"]
    with tempfile.NamedTemporaryFile() as out:
        status = protoc.main(
            [
                "",
                *(f"--proto_path={path}" for path in includes),
                f"--proto_path={Path(protoc.__file__).parent / '_proto'}",
                f"--descriptor_set_out={out.name}",
                file,
            ]
        )
        assert status == 0
        found = descriptor_pb2.FileDescriptorSet.FromString(Path(out.name).read_bytes())
    for one in found.file:
        pool.AddSerializedFile(one.SerializeToString())


pb = load()


class Grants:
    """Access from a set of (caller id, action, scope); a scope holds what lies below it."""

    def __init__(self, *granted: tuple[str, str, str]) -> None:
        self.granted = set(granted)
        self.revision = 1
        self.begun: list[tuple[Caller, Kind, str]] = []
        self.unavailable = False

    def begin(self, caller: Caller, kind: Kind, deadline: float, floor_token: str) -> Access:
        if self.unavailable:
            raise errors.Unavailable("the policy is too old", metadata={"service": "authz"})
        self.begun.append((caller, kind, floor_token))
        return GrantedAccess(self, caller, self.revision)

    def revoke(self, *granted: tuple[str, str, str]) -> None:
        self.granted -= set(granted)
        self.revision += 1


class GrantedAccess:
    def __init__(self, grants: Grants, caller: Caller, revision: int) -> None:
        self._grants, self._caller, self.revision = grants, caller, revision
        self.principals = (caller.id,)

    def allowed(self, action: str, scope: str) -> bool:
        return any(
            caller == self._caller.id
            and held == action
            and (at == "/" or key(scope) == key(at) or key(scope).startswith(key(at) + "/"))
            for caller, held, at in self._grants.granted
        )

    def require(self, action: str, scope: str) -> None:
        if not self.allowed(action, scope):
            raise errors.PermissionDenied.of(action, scope)

    def require_all(self, demands: Sequence[tuple[str, str, str]]) -> None:
        for action, scope, _ in demands:
            self.require(action, scope)


class Tokens:
    """An issuer with one key, and what verifies its tokens."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        jwk = jwt.algorithms.ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        keys = [jwk | {"kid": "1", "alg": "ES256", "use": "sig"}]
        document = json.dumps({"keys": keys}).encode()
        self.source = KeySource(lambda: document)
        self.verifier = TokenVerifier(AUDIENCE, [Issuer(ISSUER, self.source)])
        self.authenticator = BearerAuthenticator(self.verifier)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ann",
            "tid": "t1",
            "iat": now,
            "exp": now + 600,
        } | changes
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        return jwt.encode(
            self.claims(**changes), self.key, "ES256", headers={"kid": "1"} | (headers or {})
        )

    def bearer(self, **changes: Any) -> tuple[str, str]:
        return ("authorization", f"Bearer {self.token(**changes)}")


ANN = "t1/ann"
EVERYTHING = (
    (ANN, "Library/books/read", "shelves/a"),
    (ANN, "Library/books/write", "shelves/a"),
    (ANN, "Library/shelves/read", "shelves/a"),
)


class LibraryServicer:
    """Raises, waits and answers as the title or the id of a book says."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.waiting = threading.Semaphore(0)
        self.go_on = threading.Event()

    def GetBook(self, request: Any, call: Call) -> Any:
        self.calls.append(call)
        call.violations.raise_if_any()
        assert call.scope is not None
        raise_as_named(call.scope.id)
        return pb.Book(name=call.scope.text)

    def ListBooks(self, request: Any, call: Call) -> Any:
        assert call.scope is not None
        name = "shelves/a" if call.scope.has_wildcard else call.scope.text
        return pb.ListBooksResponse(books=[pb.Book(name=f"{name}/books/1")])

    def CreateBook(self, request: Any, call: Call) -> Any:
        if request.book.title == "state":
            call.violations.precondition("LENT", request.parent, "the shelf is lent")
        call.violations.raise_if_any()
        call.send_consistency_token("token-1")
        return pb.Book(name=f"{request.parent}/books/{request.book_id}")

    def UpdateBook(self, request: Any, call: Call) -> Any:
        return pb.Book(name=request.book.name)

    def CloseLibrary(self, request: Any, call: Call) -> Any:
        return request

    def WhoAmI(self, request: Any, call: Call) -> Any:
        return pb.Text(text=f"{call.caller.id} {len(call.caller.auxiliary)}")

    def ReadByName(self, request: Any, call: Call) -> Any:
        assert call.scope is not None
        action = "Library/books/read" if "/books/" in call.scope.key else "Library/shelves/read"
        call.access.require(action, call.scope.text)
        return pb.Text(text=call.scope.key)

    def WaitBook(self, request: Any, call: Call) -> Any:
        self.waiting.release()
        while not self.go_on.wait(0.02):
            if call.stopping.is_set():
                return pb.Book(name=request.name, title="unfinished")
            call.check()
        return pb.Book(name=request.name)

    def WatchBooks(self, request: Any, call: Call) -> Iterator[Any]:
        self.calls.append(call)
        call.violations.raise_if_any()
        for number in range(3):
            yield pb.Book(name=f"{request.parent}/books/{number}")
        if request.parent.endswith("/a"):
            raise errors.NotFound.of("stoa.dev/Book", "the fourth")

    def UploadPages(self, requests: Iterator[Any], call: Call) -> Any:
        call.violations.raise_if_any()
        size = sum(len(page.content) for page in requests)
        return pb.Text(text=str(size))

    def Converse(self, requests: Iterator[Any], call: Call) -> Iterator[Any]:
        for request in requests:
            raise_as_named(request.text)
            yield pb.Text(text=f"{call.caller.subject}: {request.text}")

    def Reindex(self, request: Any, call: Call) -> Any:
        return pb.Text(text=call.caller.workload)


class StockServicer:
    def CountStock(self, request: Any, call: Call) -> Any:
        return pb.Text(text=call.caller.id)


NAMED: dict[str, Callable[[], Exception]] = {
    "not_found": lambda: errors.NotFound.of("stoa.dev/Book", "shelves/a/books/not_found"),
    "exists": lambda: errors.AlreadyExists.of("stoa.dev/Book", "shelves/a/books/exists"),
    "aborted": lambda: errors.Aborted("changed", reason="ETAG_MISMATCH", metadata={"etag": '"2"'}),
    "quota": lambda: errors.ResourceExhausted(
        "full", quota=(errors.QuotaViolation("shelves/a", "10 books"),)
    ),
    "compacted": lambda: errors.PositionCompacted(7),
    "unavailable": lambda: errors.Unavailable("down", metadata={"service": "x"}, retry_after=1.5),
    "deadline": lambda: errors.DeadlineExceeded("late"),
    "cancelled": lambda: errors.Cancelled("stopped"),
    "unimplemented": lambda: errors.Unimplemented("no such use"),
    "bug": lambda: ZeroDivisionError("secret detail"),
    "internal": lambda: errors.Internal("secret detail"),
    "huge": lambda: errors.InvalidArgument(
        "x\N{GREEK SMALL LETTER ALPHA}" * 5000,
        metadata={"resource": "y" * 5000},
        violations=tuple(errors.FieldViolation(f"field{n}", "z" * 700) for n in range(200)),
        precondition=tuple(
            errors.PreconditionViolation("T", f"s{n}", "z" * 700) for n in range(200)
        ),
    ),
}


def raise_as_named(name: str) -> None:
    """Raise what an id asks for, for example `not_found`."""
    make = NAMED.get(name)
    if make is not None:
        raise make()


class Client:
    """Calls methods by name, as any client would."""

    def __init__(self, channel: grpc.Channel, *metadata: tuple[str, str]) -> None:
        self._channel = channel
        self._metadata = metadata

    def __call__(
        self, method: str, request: Any, *metadata: tuple[str, str], timeout: float | None = 10
    ) -> Any:
        return self.method(method)(request, metadata=[*self._metadata, *metadata], timeout=timeout)

    def with_call(self, method: str, request: Any, *metadata: tuple[str, str]) -> Any:
        return self.method(method).with_call(
            request, metadata=[*self._metadata, *metadata], timeout=10
        )

    def method(self, method: str) -> Any:
        service, _, name = method.rpartition("/")
        service = service or LIBRARY
        found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
        arity = {
            (False, False): self._channel.unary_unary,
            (False, True): self._channel.unary_stream,
            (True, False): self._channel.stream_unary,
            (True, True): self._channel.stream_stream,
        }[found.client_streaming, found.server_streaming]
        return arity(
            f"/{service}/{name}",
            request_serializer=serialized,
            response_deserializer=message_factory.GetMessageClass(found.output_type).FromString,
        )


def status_of(error: Any) -> status_pb2.Status:
    """Read the status with its details from what a call raised."""
    trailing = dict(error.trailing_metadata())
    return status_pb2.Status.FromString(trailing["grpc-status-details-bin"])


def detail_of(error: Any, kind: str) -> Any:
    """Answer the detail of one kind, for example `ErrorInfo`."""
    into = getattr(error_details_pb2, kind)()
    found = [one for one in status_of(error).details if one.Is(into.DESCRIPTOR)]
    assert len(found) == 1, f"{kind}: {len(found)}"
    found[0].Unpack(into)
    return into


def info_of(error: Any) -> Any:
    """Answer the ErrorInfo after checking that it speaks for the server."""
    info = detail_of(error, "ErrorInfo")
    assert info.domain == DOMAIN
    return info
