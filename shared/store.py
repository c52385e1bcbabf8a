"""The Redis client that every store module is handed: opened once a process, closed on the way out.

Survives a Redis that restarts or drops connections: each command reconnects, and nothing is sent
twice by the client itself, since a write that failed midway is for its caller to judge. A server
that restarted, or another one after a failover, may have forgotten writes it had acknowledged:
`ServerWatch` makes the first command on it raise `AnotherServer`, before anything is written.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.settings import Settings


class AnotherServer(RedisError):
    """A new connection reached a server that is not the one written to before."""


class ServerWatch:
    """Compares run id and replication id on every new connection with those met first."""

    def __init__(self) -> None:
        self._known: tuple[bytes, bytes] | None = None

    def accept(self) -> None:
        """Takes whichever server answers next for the one to hold on to."""
        self._known = None

    async def on_connect(self, connection: Any) -> None:
        """Runs before any command of a new connection. Raises AnotherServer."""
        await connection.on_connect()
        found = (
            await _told(connection, "server", b"run_id"),
            await _told(connection, "replication", b"master_replid"),
        )
        if self._known is None:
            self._known = found
        elif found != self._known:
            raise AnotherServer("this is not the server that was written to before")


async def _told(connection: Any, section: str, name: bytes) -> bytes:
    await connection.send_command("INFO", section)
    answer: bytes = await connection.read_response()
    for line in answer.splitlines():
        if line.startswith(name + b":"):
            return line.partition(b":")[2]
    return b""


@asynccontextmanager
async def open_redis(
    settings: Settings,
    *,
    timeout_s: float = 5.0,
    connections: int = 8,
    watch: ServerWatch | None = None,
) -> AsyncIterator[Redis]:
    """A client that gives up on a reply after `timeout_s`; it connects on first use.

    `watch`: whoever writes what must not be forgotten has the server compared on each connection.
    """
    client = Redis.from_url(
        settings.redis,
        socket_timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        max_connections=connections,
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        redis_connect_func=None if watch is None else watch.on_connect,
    )
    try:
        yield client
    finally:
        await client.aclose()
