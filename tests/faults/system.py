"""The system under fire: Apache Kafka, Redis, and members of ingest and profile, with their deaths.

Every server and process runs under a guard (services/local/guard.py), so none outlives the harness.
"""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import click

from services.local.apache import ApacheKafka, apache_kafka
from services.local.ports import HOST, free_port
from services.local.processes import Processes, Program
from services.local.servers import environment
from services.local.store import EmbeddedStore, embedded_store
from shared.bus import ensure_topics
from shared.errors import Unavailable
from shared.settings import Settings

ROOT: Final = Path(__file__).resolve().parents[2]
SCENARIOS: Final = Path(__file__).with_name("scenarios.yaml")
PARTITIONS: Final = 8
LOSABLE_S: Final = 1.5
"""Redis under AOF everysec may lose this much; a run takes away no more than that."""
AOF: Final = "appendonlydir"
CRASH_S: Final = 8.0
PASSING: Final = ("-extra", "-2")
"""How members without a fixed name in their group end."""
WRITES_S: Final = 15.0
"""How long a Redis kill that is to lose writes waits for some."""
COMMAND_S: Final = 90.0
STARTS: Final = 3


def service_of(member: str) -> str:
    """`profile` of `profile-1`."""
    return member.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a process on purpose: see `broken`."""

    crash: str = ""
    trouble: str = ""
    guard: str = ""

    def options(self) -> list[tuple[str, str]]:
        """For `broken`'s command line."""
        return [("--crash", self.crash), ("--trouble", self.trouble), ("--guard", self.guard)]


@dataclass(slots=True)
class System:
    """Running servers and members. kills: by service; exits: members that ended by themselves."""

    settings: Settings
    kafka: ApacheKafka
    store: EmbeddedStore
    processes: Processes
    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    kills: Counter[str] = field(default_factory=Counter)
    rebalances: int = 0
    rebuilds: int = 0
    inside: int = 0
    """Members that died at a chosen point inside a batch."""
    exits: list[str] = field(default_factory=list)
    bytes_lost: int = 0
    """Of what Redis had acknowledged, by files restored from before."""

    async def start(self, *members: str, wrong: Wrong | None = None, ready: bool = True) -> None:
        """Starts members; ready when this returns. Raises Unavailable where one cannot start."""
        programs = [self._program(member, wrong or Wrong(), ready) for member in members]
        await self.processes.start_all(*programs)

    def _program(self, member: str, wrong: Wrong, ready: bool) -> Program:
        service, port = service_of(member), free_port()
        variables = environment(self.settings) | {
            "PYTHONPATH": str(ROOT),
            # Small batches: more of what may be interrupted, for the same events.
            "ATTUNE_INGEST_MAX_RECORDS": "250",
            "ATTUNE_PROFILE_BATCH": "250",
        }
        if not member.endswith(PASSING):
            # A fixed member gets its partitions back at once; another one's are given away.
            name = (
                "ATTUNE_PROFILE_INSTANCE" if service == "profile" else "ATTUNE_INGEST_INSTANCE_ID"
            )
            variables[name] = member
        command = ["-m", "services.cli", service, "--port", str(port)]
        if wrong != Wrong():
            options = [word for name, value in wrong.options() for word in (name, value)]
            command = ["-m", "tests.faults.broken", *options, "--", service, "--port", str(port)]
        address = f"http://{HOST}:{port}/health/ready" if ready else None
        return Program(member, tuple(command), variables | self.variables, address)

    async def kill(self, member: str) -> None:
        """Ends a member as kill -9 does."""
        with suppress(ProcessLookupError):
            os.kill(self.processes.pid(member), signal.SIGKILL)
        await self.processes.stop(member)
        self.kills[service_of(member)] += 1

    async def dead(self, member: str, within_s: float = CRASH_S) -> bool:
        """Whether a member dies by itself within that time; it is taken off the list then."""
        deadline = time.monotonic() + within_s
        while self.processes.alive(member):
            if time.monotonic() > deadline:
                return False
            await asyncio.sleep(0.02)
        await self.processes.stop(member)
        return True

    async def revive(self) -> None:
        """Starts what ended by itself, as an operator's supervisor would, and notes it."""
        for member in self.processes.names:
            for _ in range(STARTS):
                if self.processes.alive(member):
                    break
                self.exits.append(f"{member}: {self.processes.tail(member)}")
                await self.processes.stop(member)
                with suppress(Unavailable):
                    await self.start(member)

    async def command(
        self, *arguments: str, wrong: Wrong | None = None, kill_after_s: float | None = None
    ) -> tuple[int, str]:
        """Runs `attune ARGUMENTS` to its end, or to its death; exit code and what it said."""
        command = ["-m", "services.cli", *arguments]
        if wrong is not None and wrong != Wrong():
            options = [word for name, value in wrong.options() for word in (name, value)]
            command = ["-m", "tests.faults.broken", *options, "--", *arguments]
        # Into a file of its own: what a killed command started may hold a pipe open for longer, or
        # write its last words over those of the next.
        with tempfile.TemporaryFile() as said:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                *command,
                env={**os.environ, **environment(self.settings), "PYTHONPATH": str(ROOT)},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=said,
                stderr=asyncio.subprocess.STDOUT,
            )
            try:
                async with asyncio.timeout(COMMAND_S if kill_after_s is None else kill_after_s):
                    code = await process.wait()
            except TimeoutError:
                process.kill()
                code = await process.wait()
            said.seek(0)
            return code, said.read().decode(errors="replace")

    async def rebuild(self, kill_after_s: float) -> None:
        """Rebuilds all profiles while events flow: once killed in the middle, then to the end."""
        await self.command("rebuild", "--grace", "1", kill_after_s=kill_after_s)
        deadline = time.monotonic() + COMMAND_S
        while True:
            code, said = await self.command("rebuild", "--grace", "1")
            if not code:
                self.rebuilds += 1
                return
            if "under way" not in said or time.monotonic() > deadline:
                raise Unavailable(f"attune rebuild failed: {said[-500:]}")
            await asyncio.sleep(1)

    async def bounce_broker(self, down_s: float) -> None:
        """Kills the broker and starts it again."""
        await asyncio.to_thread(self.kafka.kill)
        await asyncio.sleep(down_s)
        await asyncio.to_thread(self.kafka.restart)
        self.kills["broker"] += 1

    async def kill_redis(self, down_s: float, *, restored: bool, members: bool = False) -> None:
        """Kills Redis and starts it again; `restored`: as its files were a moment before;
        `members`: all of them die at the same moment, as when a machine loses its power."""
        began, known = await self._losable(WRITES_S if restored else 0.0)
        victims = [name for name in self.processes.names if members]
        await asyncio.gather(
            asyncio.to_thread(self.store.kill), *(self.kill(name) for name in victims)
        )
        if restored and time.monotonic() - began < LOSABLE_S:
            self.bytes_lost += self.forget(known)
        await asyncio.sleep(down_s)
        await asyncio.to_thread(self.store.restart)
        self.kills["redis"] += 1
        if victims:
            with suppress(Unavailable):
                await self.start(*victims)
            await self.revive()

    async def _losable(self, patience_s: float) -> tuple[float, dict[str, int]]:
        """A moment ago, and Redis's files as they were then; it has acknowledged more since."""
        deadline = time.monotonic() + patience_s
        while True:
            began, known = time.monotonic(), self.file_sizes()
            if began >= deadline:
                return began, known
            await asyncio.sleep(0.6)
            if self.file_sizes() != known and time.monotonic() - began < 1.0:
                return began, known

    def file_sizes(self) -> dict[str, int]:
        """Redis's append-only files as they are now: they only grow, until they are rewritten."""
        return {path.name: path.stat().st_size for path in (self.store.directory / AOF).iterdir()}

    def forget(self, known: dict[str, int]) -> int:
        """Cuts a killed Redis's files back to what they were; how many bytes are gone."""
        now = self.file_sizes()
        if now.keys() != known.keys():
            # Rewritten in between: what is older has another form now.
            return 0
        for name, size in known.items():
            os.truncate(self.store.directory / AOF / name, size)
        return sum(now.values()) - sum(known.values())

    def note(self, text: str) -> None:
        """A line of progress on standard error."""
        click.echo(f"{time.strftime('%H:%M:%S')} {text}", err=True)


@contextmanager
def running_servers(folder: Path) -> Iterator[tuple[ApacheKafka, EmbeddedStore]]:
    """A broker and a store. Blocks while they start; call it outside a running event loop."""
    with (
        apache_kafka(folder / "kafka") as kafka,
        embedded_store(folder / "store", prefer="system") as store,
    ):
        yield kafka, store


@asynccontextmanager
async def running_system(
    folder: Path,
    kafka: ApacheKafka,
    store: EmbeddedStore,
    namespace: str,
    *,
    partitions: int = PARTITIONS,
) -> AsyncIterator[System]:
    """All topics of a namespace and no member yet; members that run are stopped at the end."""
    settings = Settings(
        environment="test",
        bootstrap=kafka.bootstrap,
        redis=store.url,
        database=f"sqlite+aiosqlite:///{folder / 'attune.db'}",
        namespace=namespace,
        partitions=partitions,
        fetch_wait_ms=50,
        models=str(folder / "models"),
        scenarios=str(SCENARIOS),
    )
    await ensure_topics(settings)
    async with Processes.open(folder / "logs") as processes:
        yield System(settings, kafka, store, processes, folder)
