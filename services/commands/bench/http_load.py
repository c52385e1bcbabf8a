"""A cheap HTTP load generator, run as a process of its own: raw sockets, requests made before.

Reads a job as JSON from standard input and prints a result as JSON. Closed loop: every connection
asks again as soon as it was answered. Open loop: requests are due at a fixed rate, and latency
counts from when each was due, so a slow server cannot hide its queue.
"""

import asyncio
import sys
import time
from collections import deque
from pathlib import Path
from typing import Final, cast

import msgspec
import numpy as np
import uvloop
from msgspec import Struct

LENGTH: Final = b"content-length: "
TICK_S: Final = 0.0005


class Job(Struct, kw_only=True):
    """requests: a file of whole HTTP requests, JSON array of strings; expected: bytes that a good
    answer contains (another answer with status 200 counts as a fallback); rate: None for a closed
    loop; tick_s: how often the open loop looks what is due."""

    port: int
    requests: str
    connections: int
    warm_s: float
    seconds: float
    expected: str = ""
    rate: float | None = None
    tick_s: float = TICK_S


class Outcome(Struct, kw_only=True):
    """Latencies in ms."""

    answers: int
    requests_per_second: float
    p50: float
    p99: float
    errors: int
    fallbacks: int


class Load:
    """What all connections share."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.requests: list[bytes] = [
            text.encode() for text in msgspec.json.decode(Path(job.requests).read_bytes())
        ]
        self.expected = job.expected.encode()
        self.latencies: list[float] = []
        self.errors = 0
        self.fallbacks = 0
        self.measuring = False
        self.stopped = False
        self.idle: deque[Connection] = deque()
        self.due: deque[float] = deque()
        self._next = 0

    def request(self) -> bytes:
        """The next one, round and round."""
        self._next = (self._next + 1) % len(self.requests)
        return self.requests[self._next]

    def answered(self, connection: "Connection", good: bool, expected: bool) -> None:
        """An answer is complete: count it and go on."""
        now = time.perf_counter()
        if self.measuring:
            self.latencies.append(now - connection.since)
            self.errors += not good
            self.fallbacks += good and not expected
        if self.job.rate is None:
            if not self.stopped:
                connection.ask(now)
        elif self.due:
            connection.ask(self.due.popleft())
        else:
            self.idle.append(connection)


class Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self.since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        # uvloop's transports are no asyncio.Transport
        self._transport = cast(asyncio.Transport, transport)

    def ask(self, since: float) -> None:
        """Send a request; `since`: when it was due."""
        self.since = since
        self._transport.write(self._load.request())

    def data_received(self, data: bytes) -> None:
        """Collect until the answer is whole."""
        received = self._received = self._received + data if self._received else data
        head = received.find(b"\r\n\r\n")
        if head < 0:
            return
        at = received.find(LENGTH) + len(LENGTH)
        length = int(received[at : received.index(b"\r", at)])
        if len(received) < head + 4 + length:
            return
        self._received = b""
        good = received.startswith(b"HTTP/1.1 200")
        self._load.answered(self, good, self._load.expected in received)

    def connection_lost(self, exc: Exception | None) -> None:
        """A server that hangs up has failed."""
        if not self._load.stopped:
            self._load.errors += 1


async def run(job: Job) -> Outcome:
    """Do the job."""
    loop = asyncio.get_running_loop()
    load = Load(job)
    connections = []
    for _ in range(job.connections):
        _, connection = await loop.create_connection(
            lambda: Connection(load), "127.0.0.1", job.port
        )
        connections.append(connection)
    started = time.perf_counter()
    if job.rate is None:
        for connection in connections:
            connection.ask(started)
        pacing = None
    else:
        load.idle.extend(connections)
        pacing = asyncio.create_task(_pace(load, job.rate, job.tick_s))
    await asyncio.sleep(job.warm_s)
    load.measuring, begun = True, time.perf_counter()
    await asyncio.sleep(job.seconds)
    load.measuring, took = False, time.perf_counter() - begun
    load.stopped = True
    if pacing is not None:
        pacing.cancel()
    # what is still due and not answered counts with the time it has waited so far
    now = time.perf_counter()
    late = [now - due for due in load.due]
    latencies = np.array(load.latencies + late) * 1_000
    p50, p99 = np.percentile(latencies, [50, 99]) if len(latencies) else (0.0, 0.0)
    return Outcome(
        answers=len(load.latencies),
        requests_per_second=round(len(load.latencies) / took, 1),
        p50=round(float(p50), 3),
        p99=round(float(p99), 3),
        errors=load.errors,
        fallbacks=load.fallbacks,
    )


async def _pace(load: Load, rate: float, tick_s: float) -> None:
    started = time.perf_counter()
    sent = 0
    while True:
        now = time.perf_counter()
        while (due := started + sent / rate) <= now:
            sent += 1
            if load.idle:
                load.idle.popleft().ask(due)
            else:
                load.due.append(due)
        await asyncio.sleep(tick_s)


def main() -> None:
    """Job in, outcome out."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=Job)
    sys.stdout.buffer.write(msgspec.json.encode(uvloop.run(run(job))))


if __name__ == "__main__":
    main()
