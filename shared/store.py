"""The Redis client that every store module is handed: opened once a process, closed on the way out.

One server or a cluster, by a setting; both take the same commands. Survives a Redis that restarts
or drops connections: each command reconnects, and nothing is sent twice by the client itself, since
a write that failed midway is for its caller to judge. A server that restarted, or another one
after a failover, may have forgotten writes it had acknowledged: `ServerWatch` makes the first
command on it raise `AnotherServer`, before anything is written.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.connection import BlockingConnectionPool, parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.settings import Settings
from shared.store_cluster import ClusterRedis
from shared.store_durability import Told


class AnotherServer(RedisError):
    """This server is not the one written to before, or has been somebody's replica since."""


class ServerWatch:
    """Compares each server's run id and replication id with those met first.

    On every new connection, before any command, and whenever somebody looks. Once `settle` was
    called, a server that was not met before is another one too: in a cluster it may be a replica
    that took over.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, str]] = {}
        self._settled = False

    def accept(self) -> None:
        """Takes the servers that answer next for those to hold on to."""
        self._known.clear()
        self._settled = False

    def settle(self) -> None:
        """All servers there are have been met."""
        self._settled = True

    def compare(self, server: str, identity: tuple[str, str]) -> None:
        """Raises AnotherServer where the one at this address has changed, or is new."""
        known = self._known.get(server)
        if known is None and not self._settled:
            self._known[server] = identity
        elif known != identity:
            raise AnotherServer("this is not the server that was written to before")

    async def on_connect(self, connection: Any) -> None:
        """Runs before any command of a new connection. Raises AnotherServer."""
        await connection.on_connect()
        found = (
            await _told(connection, "server", b"run_id"),
            await _told(connection, "replication", b"master_replid"),
        )
        self.compare(_address(vars(connection)), found)


async def _told(connection: Any, section: str, name: bytes) -> str:
    await connection.send_command("INFO", section)
    answer: bytes = await connection.read_response()
    for line in answer.splitlines():
        if line.startswith(name + b":"):
            return line.partition(b":")[2].decode()
    return ""


@asynccontextmanager
async def open_redis(
    settings: Settings,
    *,
    timeout_s: float = 5.0,
    connections: int = 8,
    watch: ServerWatch | None = None,
) -> AsyncIterator[Redis]:
    """A client that gives up on a reply after `timeout_s`; it connects on first use.

    `watch`: whoever writes what must not be forgotten has the servers compared.
    """

    def connect(watched: ServerWatch | None, **where: Any) -> Redis:
        named: dict[str, Any] = {**parse_url(settings.redis), **where}
        pool = BlockingConnectionPool(
            timeout=timeout_s,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            max_connections=connections,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            redis_connect_func=None if watched is None else watched.on_connect,
            **named,
        )
        return Redis.from_pool(pool)

    if settings.redis_cluster:
        named = parse_url(settings.redis)
        client = cast(
            Redis,  # the commands that stores use are the same
            ClusterRedis(
                (named.get("host", "localhost"), named.get("port", 6379)),
                lambda host, port: connect(watch, host=host, port=port),
                lambda host, port: connect(None, host=host, port=port),
            ),
        )
    else:
        client = connect(watch)
    try:
        yield client
    finally:
        await client.aclose()


async def disconnect(client: Any) -> None:
    """Drops all connections: the next command makes new ones, wherever the name leads then."""
    if isinstance(client, ClusterRedis):
        await client.disconnect()
    else:
        await client.connection_pool.disconnect()


async def look(client: Any, watch: ServerWatch) -> tuple[float, dict[str, Told]]:
    """Asks every server about itself; the monotonic time before, and what each told, by address.

    Raises AnotherServer where one is not what it was.
    """

    async def ask(server: Redis) -> tuple[str, Told]:
        name, told = _address(server.connection_pool.connection_kwargs), await _ask(server)
        watch.compare(name, told.identity)
        return name, told

    began = time.monotonic()
    if isinstance(client, ClusterRedis):
        answers = await client.on_masters(ask)
    else:
        answers = [await ask(client)]
    watch.settle()
    return began, dict(answers)


def _address(where: Mapping[str, Any]) -> str:
    return str(where.get("path") or f"{where.get('host', 'localhost')}:{where.get('port', 6379)}")


async def _ask(server: Redis) -> Told:
    pipeline = server.pipeline(transaction=False)
    for section in ("server", "memory", "replication", "persistence"):
        pipeline.info(section)
    found: dict[str, Any] = {}
    for answer in await pipeline.execute():
        found |= answer
    replicas = (found[f"slave{n}"] for n in range(int(found.get("connected_slaves", 0))))
    return Told(
        identity=(str(found["run_id"]), str(found["master_replid"])),
        # Profiles have no lifetime, so the policies of the volatile ones spare them.
        evicts=bool(found["maxmemory"]) and str(found["maxmemory_policy"]).startswith("allkeys"),
        aof=bool(found["aof_enabled"]),
        aof_written=found["aof_last_write_status"] == "ok",
        rewriting=bool(found["aof_rewrite_in_progress"]) or bool(found["aof_rewrite_scheduled"]),
        rewrite_failed=found["aof_last_bgrewrite_status"] != "ok",
        syncing=bool(found.get("aof_pending_bio_fsync", 0)),
        offset=int(found["master_repl_offset"]),
        acknowledged=tuple(one["offset"] for one in replicas if one["state"] == "online"),
    )
