"""A closed-loop client in a process of its own: raw bytes in, raw bytes out, calls counted.

It never parses, so that what is compared is the server. Started by `calls.py`; prints one line of
JSON for each line of JSON on its standard input, the times in seconds.
"""

import json
import sys
import threading
import time
from typing import Any

import grpc


def load(channel: grpc.Channel, job: dict[str, Any]) -> list[float]:
    """Keep `in_flight` calls under way for `seconds`; answer how long each took."""
    call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(job["method"])
    # In turn, each thread from a place of its own.
    requests = [bytes.fromhex(one) for one in job.get("requests") or [job["request"]]]
    metadata = tuple((name, value) for name, value in job["metadata"])
    end = time.perf_counter() + job["seconds"]
    taken: list[list[float]] = [[] for _ in range(job["in_flight"])]

    def loop(times: list[float], place: int) -> None:
        now = time.perf_counter()
        while now < end:
            place += 1
            call(requests[place % len(requests)], metadata=metadata, timeout=10)
            then, now = now, time.perf_counter()
            times.append(now - then)

    threads = [
        threading.Thread(target=loop, args=(times, index * len(requests) // len(taken)))
        for index, times in enumerate(taken)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(one for times in taken for one in times)


def main() -> None:
    channels: dict[str, grpc.Channel] = {}
    for line in sys.stdin:
        job = json.loads(line)
        channel = channels.setdefault(job["target"], grpc.insecure_channel(job["target"]))
        times = load(channel, job)
        middle, late = times[len(times) // 2], times[int(len(times) * 0.99)]
        print(json.dumps({"calls": len(times), "p50": middle, "p99": late}), flush=True)


if __name__ == "__main__":
    main()
