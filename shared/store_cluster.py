"""A Redis Cluster behind the commands of one server: each goes to the node that holds its key.

Store modules use it as they use a single server: single commands and pipelines without
transactions. redis-py's own cluster client is not used, for reasons that ADR 0011 measures.

Invariant: a command is sent again only where a node refused it unexecuted (MOVED, ASK, TRYAGAIN,
CLUSTERDOWN). One that may have run is never repeated here; its caller judges.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, Self, TypeAlias

from redis.asyncio import Redis
from redis.commands import AsyncCoreCommands
from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot
from redis.exceptions import (
    AskError,
    ClusterDownError,
    ConnectionError,
    MovedError,
    RedisError,
    TryAgainError,
)

Address: TypeAlias = tuple[str, int]
Connect: TypeAlias = Callable[[str, int], Redis]

EVERYWHERE: Final = frozenset(["PING", "INFO", "SCRIPT LOAD", "SCRIPT FLUSH", "FLUSHALL"])
"""Commands without a key: all masters run them, and the first one's answer is given."""
REDIRECTS_S: Final = 2.0
"""For how long refusals are followed before the caller hears of them."""
PAUSE_S: Final = 0.02
FAILURES: Final = (RedisError, OSError, TimeoutError)


class _Command(NamedTuple):
    arguments: tuple[Any, ...]
    options: dict[str, Any]

    @property
    def slot(self) -> int:
        place = 3 if self.arguments[0] in {"EVALSHA", "EVAL"} else 1
        key = self.arguments[place]
        return key_slot(key if isinstance(key, bytes) else str(key).encode())


class _Route(NamedTuple):
    node: Address
    asking: bool = False


class ClusterRedis(AsyncCoreCommands):
    """The client. `connect` makes one for a node; `ask` one that only reads the map of slots."""

    _event_dispatcher: Any = None

    def __init__(self, seed: Address, connect: Connect, ask: Connect) -> None:
        self._seed = seed
        self._seeds = [seed]
        self._connect = connect
        self._ask = ask
        self._nodes: dict[Address, Redis] = {}
        self._owners: list[Address] = []
        self._stale = True
        self._lock = asyncio.Lock()

    def pipeline(self, transaction: bool = False) -> "ClusterPipeline":
        """Commands to be sent together, to each node its own; they share no transaction."""
        if transaction:
            raise ValueError("a cluster has no transactions over several keys")
        return ClusterPipeline(self)

    async def execute_command(self, *arguments: Any, **options: Any) -> Any:
        """One command, on the node of its key; without a key, on all masters."""
        if arguments[0] in EVERYWHERE:

            async def run(master: Any) -> Any:
                return await master.execute_command(*arguments, **options)

            return (await self.on_masters(run))[0]
        answer = (await self.run([_Command(arguments, options)]))[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def on_masters(self, action: Callable[[Redis], Awaitable[Any]]) -> list[Any]:
        """What `action` gives for a client of each node that has slots, all at once."""
        await self._discover()
        return await _all(self._on(address, action) for address in dict.fromkeys(self._owners))

    async def _on(self, address: Address, action: Callable[[Redis], Awaitable[Any]]) -> Any:
        try:
            return await action(self._node(address))
        except FAILURES:
            self._doubt(address)
            raise

    async def run(self, commands: Sequence[_Command]) -> list[Any]:
        """Sends each node its commands in one pipeline; answers or refusals, in order.

        Raises the connection's error when a node does not answer, after all others have.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + REDIRECTS_S
        answers: list[Any] = [None] * len(commands)
        asking: dict[int, Address] = {}
        left: Iterable[int] = range(len(commands))
        while True:
            await self._discover()
            routes: dict[_Route, list[int]] = {}
            for place in left:
                route = (
                    _Route(asking[place], asking=True)
                    if place in asking
                    else _Route(self._owners[commands[place].slot])
                )
                routes.setdefault(route, []).append(place)
            await _all(
                self._run_on(route, [(place, commands[place]) for place in places], answers)
                for route, places in routes.items()
            )
            refused = {
                place: route
                for route, places in routes.items()
                for place in places
                if isinstance(answers[place], AskError | TryAgainError | ClusterDownError)
            }
            if not refused or loop.time() > deadline:
                return answers
            asking = self._follow(refused, commands, answers)
            left = sorted(refused)
            if any(isinstance(answers[place], TryAgainError | ClusterDownError) for place in left):
                await asyncio.sleep(PAUSE_S)

    async def _run_on(
        self, route: _Route, commands: list[tuple[int, _Command]], answers: list[Any]
    ) -> None:
        async def run(node: Redis) -> list[Any]:
            pipeline = node.pipeline(transaction=False)
            for _, command in commands:
                if route.asking:
                    # It holds for the next command on the same connection only.
                    pipeline.execute_command("ASKING")
                pipeline.execute_command(*command.arguments, **command.options)
            return await pipeline.execute(raise_on_error=False)

        replies = await self._on(route.node, run)
        own = replies[1::2] if route.asking else replies
        for (place, _), reply in zip(commands, own, strict=True):
            answers[place] = reply

    def _follow(
        self, refused: dict[int, _Route], commands: Sequence[_Command], answers: list[Any]
    ) -> dict[int, Address]:
        """Learns from the refusals; returns who is to be asked out of turn, by place."""
        asking = {}
        for place, route in refused.items():
            refusal = answers[place]
            if isinstance(refusal, MovedError):
                self._owners[commands[place].slot] = _named_in(refusal, route)
            elif isinstance(refusal, AskError):
                asking[place] = _named_in(refusal, route)
            elif isinstance(refusal, ClusterDownError):
                self._stale = True
            elif route.asking:
                asking[place] = route.node
        return asking

    def _node(self, address: Address) -> Redis:
        client = self._nodes.get(address)
        if client is None:
            client = self._nodes[address] = self._connect(*address)
        return client

    def _doubt(self, address: Address) -> None:
        """A node failed: the map is read anew, from the others first."""
        self._stale = True
        self._seeds = [*(seed for seed in self._seeds if seed != address), address]

    async def _discover(self) -> None:
        if self._stale:
            async with self._lock:
                await self._read_map()

    async def _read_map(self) -> None:
        if self._stale:
            failure: BaseException | None = None
            for address in list(self._seeds):
                client: Any = self._ask(*address)
                try:
                    rows = await client.execute_command("CLUSTER", "SLOTS")
                    await self._take(rows, address)
                except FAILURES as error:
                    failure = error
                else:
                    return
                finally:
                    await client.aclose()
            raise ConnectionError(f"no node tells the map of slots: {failure}") from failure

    async def _take(self, rows: list[Any], told_by: Address) -> None:
        owners: list[Address | None] = [None] * REDIS_CLUSTER_HASH_SLOTS
        found: list[Address] = []
        for first, last, *nodes in rows:
            addresses = [(_text(host) or told_by[0], int(port)) for host, port, *_ in nodes]
            owners[first : last + 1] = [addresses[0]] * (last + 1 - first)
            found += addresses
        covered = [owner for owner in owners if owner is not None]
        if len(covered) < len(owners):
            raise ConnectionError("some slots belong to no node")
        self._owners = covered
        self._seeds = list(dict.fromkeys([*found, self._seed]))
        self._stale = False
        for address in self._nodes.keys() - set(covered):
            await self._nodes.pop(address).aclose()

    async def disconnect(self) -> None:
        """Drops all connections; the next command reads the map of slots anew."""
        self._stale = True
        nodes, self._nodes = self._nodes, {}
        for client in nodes.values():
            await client.aclose()

    async def aclose(self) -> None:
        """Ends it."""
        await self.disconnect()


class ClusterPipeline(AsyncCoreCommands):
    """Commands gathered for one round trip to each node."""

    _event_dispatcher: Any = None

    def __init__(self, cluster: ClusterRedis) -> None:
        self._cluster = cluster
        self._commands: list[_Command] = []

    def execute_command(self, *arguments: Any, **options: Any) -> Self:
        """Adds a command with a key."""
        self._commands.append(_Command(arguments, options))
        return self

    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        """Sends what was gathered; answers in order, refusals among them or raised."""
        commands, self._commands = self._commands, []
        answers = await self._cluster.run(commands) if commands else []
        if raise_on_error:
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
        return answers


async def _all(calls: Iterable[Any]) -> list[Any]:
    # All end before the first failure is told: nothing of this goes on in the background.
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results


def _named_in(refusal: AskError, route: _Route) -> Address:
    return (refusal.host or route.node[0], refusal.port)


def _text(value: bytes | str | None) -> str:
    found = value.decode() if isinstance(value, bytes) else value or ""
    return "" if found == "?" else found
