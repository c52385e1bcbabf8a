"""The services of a private system, each a process of its own, watched and stopped together.

Every process runs under a guard (guard.py), so none outlives whoever started it.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from services.local.guard import Guarded, tail
from shared.errors import Unavailable

READY_S: Final = 180.0
"""Recommend compiles its loops when it starts for the first time: 40 s of CPU on its own."""
POLL_S: Final = 0.05
TAIL_LINES: Final = 8


@dataclass(frozen=True, slots=True)
class Program:
    """What to run: Python's arguments, its environment, and the address that says it is ready."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    ready: str | None = None


def attune(name: str, environment: Mapping[str, str], base: str) -> Program:
    """The service `attune <name>`, whose HTTP side is at `base`."""
    return Program(name, ("-m", "services.cli", name), environment, base + "/health/ready")


class Processes:
    """Running programs, each with a log in `folder`. Open with `open`, which stops them all."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._running: dict[str, Guarded] = {}

    @classmethod
    @asynccontextmanager
    async def open(cls, folder: Path) -> AsyncIterator["Processes"]:
        """No process yet; those started meanwhile are stopped at the end, the latest first."""
        processes = cls(folder)
        try:
            yield processes
        finally:
            await processes.stop(*processes.names)

    @property
    def names(self) -> tuple[str, ...]:
        """The programs that were started and not stopped, in that order."""
        return tuple(self._running)

    def pid(self, name: str) -> int:
        """Process id of a running program."""
        return self._running[name].pid

    async def start(self, program: Program) -> None:
        """Starts a program; its output goes to `<name>.log`. Raises Unavailable."""
        command = [sys.executable, "-P", *program.arguments]
        log = self._folder / f"{program.name}.log"
        starting = asyncio.create_task(
            asyncio.to_thread(Guarded.start, command, log=log, environment=program.environment)
        )
        try:
            await asyncio.shield(starting)
        finally:
            # A start that is cancelled midway goes on in its thread: what it starts must be known.
            self._running[program.name] = await starting

    async def start_all(self, *programs: Program) -> None:
        """Starts programs together and waits until each says it is ready.

        Raises Unavailable, with the end of its log, when one dies or is not ready in time.
        """
        await asyncio.gather(*(self.start(program) for program in programs))
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            await asyncio.gather(*(self._ready(session, program) for program in programs))

    def alive(self, name: str) -> bool:
        """Whether a program still runs."""
        return self._running[name].alive()

    def check(self, *names: str) -> None:
        """Raises Unavailable, with the end of its log, when one of the programs has died."""
        for name in names or self.names:
            if not self._running[name].alive():
                raise Unavailable(f"{name} has ended: {self.tail(name)}")

    def tail(self, name: str) -> str:
        """The end of a program's log on one line."""
        return tail(self._folder / f"{name}.log", TAIL_LINES)

    async def stop(self, *names: str) -> None:
        """Asks programs to end, waits for all of them, kills those that do not."""
        stopping = [self._running.pop(name) for name in reversed(names) if name in self._running]
        await asyncio.gather(*(asyncio.to_thread(guarded.stop) for guarded in stopping))

    async def _ready(self, session: aiohttp.ClientSession, program: Program) -> None:
        if program.ready is None:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + READY_S
        while True:
            self.check(program.name)
            try:
                async with session.get(program.ready) as answer:
                    if answer.status == 200:
                        return
                    said = (await answer.text())[:300]
            except (aiohttp.ClientError, TimeoutError) as error:
                said = type(error).__name__
            if loop.time() > deadline:
                raise Unavailable(
                    f"{program.name} is not ready after {READY_S:g} s ({said}): "
                    f"{self.tail(program.name)}"
                )
            await asyncio.sleep(POLL_S)
