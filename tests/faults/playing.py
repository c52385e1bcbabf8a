"""Plays each guard's scenario twice: with the guard, where all must be well, and without it."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from services.local.apache import ApacheKafka
from services.local.store import start_store
from shared.errors import AttuneError
from tests.faults.mutations import GUARDS
from tests.faults.scenarios import SCENARIOS
from tests.faults.stage import Stage, Stalled
from tests.faults.system import running_system

AT_ONCE: Final = 3
"""Plays under way at a time: they mostly wait."""
TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Caught:
    """with_guard, without: what was violated in either play; why: what could not be played."""

    with_guard: list[str]
    without: list[str]
    why: str = ""

    @property
    def caught(self) -> bool:
        """Whether all is well with the guard, and is not without it."""
        return not self.why and not self.with_guard and bool(self.without)


async def play_all(
    kafka: ApacheKafka, folder: Path, guards: Iterable[str] = tuple(GUARDS)
) -> dict[str, Caught]:
    """Plays the scenarios of these guards."""
    turns = asyncio.Semaphore(AT_ONCE)
    names = list(guards)

    async def both(guard: str) -> Caught:
        async with turns:
            began = time.monotonic()
            caught = await _both(kafka, folder, guard)
            said = f"caught: {caught.without[0]}" if caught.caught else f"NOT CAUGHT {caught}"
            click.echo(f"  {guard}: {said} ({time.monotonic() - began:.0f} s)", err=True)
            return caught

    return dict(zip(names, await asyncio.gather(*map(both, names)), strict=True))


async def _both(kafka: ApacheKafka, folder: Path, guard: str) -> Caught:
    try:
        with_guard = await _play(kafka, folder / "with", guard, "")
        for number in range(TRIES):
            # Without its guard, whether it goes wrong may take a chance or two.
            without = await _play(kafka, folder / f"without-{number}", guard, guard)
            if without:
                break
    except (Stalled, AttuneError, OSError) as error:
        return Caught([], [], f"{type(error).__name__}: {error}")
    return Caught(with_guard, without)


async def _play(kafka: ApacheKafka, folder: Path, scenario: str, missing: str) -> list[str]:
    """One play, again where the machine was too slow for it. Raises Stalled, AttuneError."""
    for number in range(TRIES):
        namespace = f"{scenario.replace('_', '-')}-{folder.name}-{number}"
        try:
            return await _once(kafka, folder / namespace, namespace, scenario, missing)
        except Stalled:
            if number == TRIES - 1:
                raise
    raise AssertionError("unreachable")


async def _once(
    kafka: ApacheKafka, folder: Path, namespace: str, scenario: str, missing: str
) -> list[str]:
    store = await asyncio.to_thread(start_store, folder / "store", prefer="system")
    try:
        async with running_system(folder, kafka, store, namespace, partitions=1) as system:
            return await SCENARIOS[scenario](Stage(system, missing))
    finally:
        await asyncio.to_thread(store.stop)
