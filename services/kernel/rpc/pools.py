"""Thread pools by kind of method, which refuse rather than let calls queue without end."""

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, ParamSpec, TypeVar

from services.kernel.rpc.access import Kind

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PoolSize:
    """How many calls run at once, and how many more may wait for their turn."""

    threads: int
    waiting: int


def _default_sizes() -> dict[Kind, PoolSize]:
    return {
        # More threads for reads buy nothing (performance.md 1a); writes share a group commit.
        Kind.READ: PoolSize(4, 256),
        Kind.MUTATION: PoolSize(16, 256),
        # A wait holds its thread for as long as it lasts: one that queued would only begin late.
        Kind.WAIT: PoolSize(32, 0),
        Kind.STREAM: PoolSize(16, 0),
    }


def _aio_sizes() -> dict[Kind, PoolSize]:
    # A stream holds no thread while it waits for its client, so streams share them.
    return _default_sizes() | {Kind.STREAM: PoolSize(16, 100_000)}


@dataclass(frozen=True, slots=True)
class PoolSizes:
    """The sizes of a server's pools."""

    sizes: Mapping[Kind, PoolSize] = field(default_factory=_default_sizes)

    @classmethod
    def aio(cls) -> "PoolSizes":
        """Answer the sizes for an aio server."""
        return cls(_aio_sizes())


class BoundedPool(ThreadPoolExecutor):
    """A pool that knows how much it has to do.

    The server asks `full` before it submits; between two listeners that ask at the same moment
    the bound may be passed by one, which does no harm.
    """

    def __init__(self, name: str, size: PoolSize) -> None:
        super().__init__(size.threads, thread_name_prefix=name)
        self._capacity: Final = size.threads + size.waiting
        self._busy = 0
        self._lock: Final = threading.Lock()

    @property
    def busy(self) -> int:
        """Calls that run or wait."""
        return self._busy

    @property
    def full(self) -> bool:
        """Whether another call is refused."""
        return self._busy >= self._capacity

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Run or queue `fn`; never refuses by itself."""
        future = super().submit(self._counted, fn, args, kwargs)
        with self._lock:
            self._busy += 1
        return future

    def _counted(self, fn: Callable[..., T], args: Any, kwargs: Any) -> T:
        try:
            return fn(*args, **kwargs)
        finally:
            with self._lock:
                self._busy -= 1


class Pools:
    """The pools of one process, shared by its listeners."""

    def __init__(self, sizes: PoolSizes | None = None) -> None:
        self._pools: Final = {
            kind: BoundedPool(kind.value, size)
            for kind, size in (sizes or PoolSizes()).sizes.items()
        }

    def of(self, kind: Kind) -> BoundedPool:
        """Answer the pool of a kind."""
        return self._pools[kind]

    def close(self) -> None:
        """Take nothing more; what runs goes on to its end."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)
