"""A connection of its own to one Redis server, for reads: what requests ask in one turn of the
event loop goes out in one write, and replies come back in order.

Beside redis-py, whose pipelines take a task, a connection out of the pool and several awaits a
turn; store.py uses those where the store is a cluster, or is reached by TLS or a socket file.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, Self, TypeAlias, cast

import hiredis
from redis.asyncio import Connection, Redis

SILENT_S: Final = 2.0
"""A server that owes a reply for this long is hung up on."""

Replies: TypeAlias = list[Any] | Exception
"""A reply each, of which some may be errors; or why there are none."""
Done: TypeAlias = Callable[[Replies], None]
pack: Callable[[tuple[str, ...]], bytes] = cast(Any, hiredis.pack_command)
"""A command as it goes over the wire; hiredis's own types know commands of one word only."""


class Target(NamedTuple):
    """Where the server is, and what a new connection says first."""

    host: str
    port: int
    setup: Sequence[tuple[str, ...]] = ()


def target_of(client: Any) -> Target | None:
    """The server that a client of redis-py reads from; None where that takes more than TCP."""
    pool = client.connection_pool if isinstance(client, Redis) else None
    if pool is None or pool.connection_class is not Connection:
        return None
    known = pool.connection_kwargs
    if known.get("credential_provider") is not None:
        return None
    setup = []
    if known.get("password"):
        user = (known["username"],) if known.get("username") else ()
        setup.append(("AUTH", *user, known["password"]))
    if known.get("db"):
        setup.append(("SELECT", str(known["db"])))
    return Target(known.get("host", "localhost"), int(known.get("port", 6379)), setup)


class _Asked:
    __slots__ = ("count", "done", "replies", "since")

    def __init__(self, count: int, done: Done, since: float) -> None:
        self.count = count
        self.done = done
        self.since = since
        self.replies: list[Any] = []


class _Link(asyncio.Protocol):
    """One connection, from its beginning to its end. Whatever becomes of those who asked, each
    reply is taken off at its place."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._reader = hiredis.Reader()
        self._transport: asyncio.Transport | None = None
        self.waiting: deque[_Asked] = deque()
        self.open = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Say who we are, and which database is meant."""
        # uvloop's transports are no asyncio.Transport
        self._transport = cast(asyncio.Transport, transport)
        self.open = True
        if self._target.setup:
            packed = b"".join(map(pack, self._target.setup))
            now = asyncio.get_running_loop().time()
            self.ask(packed, len(self._target.setup), self._settled, now)

    def _settled(self, replies: Replies) -> None:
        if isinstance(replies, Exception) or any(isinstance(said, Exception) for said in replies):
            self.drop()

    def ask(self, packed: bytes, count: int, done: Done, now: float) -> None:
        """Send commands; `done` is called once, with their replies."""
        self.waiting.append(_Asked(count, done, now))
        cast(asyncio.Transport, self._transport).write(packed)

    def data_received(self, data: bytes) -> None:
        """Give replies to who asked at their place."""
        reader, waiting = self._reader, self.waiting
        try:
            reader.feed(data)
            while (reply := reader.gets()) is not False:
                asked = waiting[0]
                asked.replies.append(reply)
                if len(asked.replies) == asked.count:
                    waiting.popleft()
                    asked.done(asked.replies)
        except (hiredis.ProtocolError, IndexError):
            # nobody knows any more which reply is whose
            self.drop()

    def drop(self) -> None:
        """End the connection now."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """All who still wait get nothing."""
        self.open = False
        while self.waiting:
            self.waiting.popleft().done(exc or ConnectionResetError())


class Wire:
    """Keeps a link: made when something is asked and there is none."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._link: _Link | None = None
        self._connecting: asyncio.Task[None] | None = None
        self._unsent: list[tuple[bytes, int, Done]] = []

    @classmethod
    def beside(cls, client: Any) -> Self | None:
        """A connection to the server of a client of redis-py; None where target_of is."""
        target = target_of(client)
        return None if target is None else cls(target)

    @property
    def in_flight(self) -> int:
        """Asked for and not answered."""
        return len(self._unsent) + (len(self._link.waiting) if self._link is not None else 0)

    def look(self, now: float) -> None:
        """Hang up on a server that is silent."""
        link = self._link
        if link is not None and link.waiting and now - link.waiting[0].since > SILENT_S:
            link.drop()

    def ask(self, packed: bytes, count: int, done: Done) -> None:
        """Send `count` commands; `done` is called once: with their replies, or with why there are
        none. Must be called in a running loop."""
        loop, link = asyncio.get_running_loop(), self._link
        if link is not None and link.open:
            link.ask(packed, count, done, loop.time())
            return
        self._unsent.append((packed, count, done))
        if self._connecting is None:
            self._connecting = loop.create_task(self._connect())

    async def _connect(self) -> None:
        loop = asyncio.get_running_loop()
        failure: Exception | None = None
        try:
            async with asyncio.timeout(SILENT_S):
                _, self._link = await loop.create_connection(
                    lambda: _Link(self._target), self._target.host, self._target.port
                )
        except (OSError, TimeoutError) as error:
            failure = error
        self._connecting = None
        unsent, self._unsent = self._unsent, []
        for packed, count, done in unsent:
            if failure is None and self._link is not None and self._link.open:
                self._link.ask(packed, count, done, loop.time())
            else:
                done(failure or ConnectionResetError())

    async def close(self) -> None:
        """End the connection; whoever waits gets nothing."""
        if self._connecting is not None:
            await asyncio.wait([self._connecting])
        if self._link is not None:
            self._link.drop()
            await asyncio.sleep(0)
