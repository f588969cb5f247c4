"""A proxy in front of a server of objects that does what networks and services do."""

import enum
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

# How much is forwarded at once.
_PIECE: Final = 1 << 16
_SLOW_DOWN: Final = (
    b"<Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>"
)


class Fault(enum.Enum):
    """What becomes of a connection."""

    NONE = enum.auto()
    REFUSE = enum.auto()
    """It is closed before a byte is answered."""
    BLACK_HOLE = enum.auto()
    """It is taken, and nothing ever comes back."""
    SLOW = enum.auto()
    """Every piece waits until the test lets one through."""
    SLOW_DOWN = enum.auto()
    """503 SlowDown, as S3 throttles."""
    TOO_MANY = enum.auto()
    """429, as others do."""
    FULL = enum.auto()
    """507, as a server whose disk is full answers."""
    CROWDED = enum.auto()
    """One connection at a time is served, and 503 SlowDown answers the others."""


_ANSWERS: Final = {
    Fault.SLOW_DOWN: "503 Slow Down",
    Fault.TOO_MANY: "429 Too Many Requests",
    Fault.FULL: "507 Insufficient Storage",
}


class FaultProxy:
    """Forwards connections to a port of loopback, or does with them what `fault` says."""

    def __init__(self, target: int) -> None:
        self._target: Final = target
        self._listener: Final = socket.create_server(("127.0.0.1", 0))
        self.port: Final[int] = self._listener.getsockname()[1]
        self.met: Final = Counter[Fault]()
        self.gate: Final = threading.Semaphore(0)
        self.answered = 0
        """How many bytes the server has sent."""
        self._fault = Fault.NONE
        self._crowd: Final = threading.Lock()
        self._lock: Final = threading.Lock()
        self._open: Final[set[socket.socket]] = set()
        self._closed = False
        self._thread: Final = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def fault(self) -> Fault:
        """What becomes of connections now."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        """Change it; connections that are open are cut, as clients keep them for long."""
        self._fault = fault
        self._cut()

    def close(self) -> None:
        """Stop listening, and cut what is open."""
        self._closed = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self._cut()

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                self._open.add(client)
            threading.Thread(target=self._serve, args=(client, self._fault), daemon=True).start()

    def _serve(self, client: socket.socket, fault: Fault) -> None:
        self.met[fault] += 1
        try:
            match fault:
                case Fault.NONE | Fault.SLOW:
                    self._forward(client, fault)
                case Fault.REFUSE:
                    pass
                case Fault.BLACK_HOLE:
                    while client.recv(_PIECE):
                        pass
                case Fault.CROWDED:
                    self._serve_if_alone(client)
                case Fault.SLOW_DOWN | Fault.TOO_MANY | Fault.FULL:
                    _answer(client, _ANSWERS[fault])
        except OSError:
            pass
        finally:
            self._drop(client)

    def _serve_if_alone(self, client: socket.socket) -> None:
        if self._crowd.acquire(blocking=False):
            try:
                self._forward(client, Fault.NONE)
            finally:
                self._crowd.release()
        else:
            self.met[Fault.SLOW_DOWN] += 1
            _answer(client, _ANSWERS[Fault.SLOW_DOWN])

    def _forward(self, client: socket.socket, fault: Fault) -> None:
        with socket.create_connection(("127.0.0.1", self._target)) as server:
            with self._lock:
                self._open.add(server)
            back = threading.Thread(target=self._pump, args=(server, client, None))
            back.start()
            self._pump(client, server, fault)
            back.join()
            with self._lock:
                self._open.discard(server)

    def _pump(self, source: socket.socket, sink: socket.socket, fault: Fault | None) -> None:
        """Forward to the server with its fault, or to the client without one."""
        with suppress(OSError):
            while piece := source.recv(_PIECE):
                if fault is Fault.SLOW:
                    self.gate.acquire()
                if fault is None:
                    with self._lock:
                        self.answered += len(piece)
                sink.sendall(piece)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _cut(self) -> None:
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _drop(self, client: socket.socket) -> None:
        with self._lock:
            self._open.discard(client)
        client.close()


def _answer(client: socket.socket, status: str) -> None:
    """Read one request whole, for a client that still sends hears no answer, and answer it."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(_PIECE)
        if not piece:
            return
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
    left = length - len(body)
    while left > 0 and (piece := client.recv(_PIECE)):
        left -= len(piece)
    client.sendall(
        f"HTTP/1.1 {status}\r\nContent-Type: application/xml\r\nConnection: close\r\n"
        f"Content-Length: {len(_SLOW_DOWN)}\r\n\r\n".encode()
        + _SLOW_DOWN
    )


@contextmanager
def fault_proxy(target: int) -> Iterator[FaultProxy]:
    """Run a proxy in front of a port of loopback."""
    proxy = FaultProxy(target)
    try:
        yield proxy
    finally:
        proxy.close()
