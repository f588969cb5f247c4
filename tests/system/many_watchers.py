"""A thousand watchers in a process of their own: `TARGET TOKEN NAME COUNT`.

Prints a line once each of them has got its first message, and then holds them all until it is
killed.
"""

import asyncio
import sys
from typing import Any

import grpc
from stoa.replication.v1 import replication_watch_pb2
from stoa.replication.v1.replication_service_pb2_grpc import ReplicationServiceStub

# Streams of one connection are limited on both sides.
_PER_CONNECTION = 100


async def main(target: str, token: str, name: str, count: int) -> None:
    metadata = [("authorization", f"Bearer {token}")]
    request = replication_watch_pb2.WatchReplicationRequest(name=name, minimum_generation=1)
    streams = []
    for number in range(count):
        if number % _PER_CONNECTION == 0:
            # Channels with the same arguments share a connection.
            channel = grpc.aio.insecure_channel(target, options=[("stoa.test.channel", number)])
            stub = ReplicationServiceStub(channel)
        streams.append(stub.WatchReplication(request, metadata=metadata))

    async def follow(stream: Any) -> None:
        await stream.read()
        told.release()
        async for _ in stream:
            pass

    told = asyncio.Semaphore(0)
    watching = [asyncio.create_task(follow(stream)) for stream in streams]
    for _ in range(count):
        await told.acquire()
    print("watching", flush=True)
    await asyncio.gather(*watching)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])))
