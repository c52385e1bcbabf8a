"""While the store is away profile stops reading, says so, holds no more memory for it, and goes on
without loss when the store is back."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from services.commands.bench.workload import shop_facts
from services.local.store import EmbeddedStore
from shared import bus
from shared.clock import real_now_ms
from shared.events import encode, identity_key
from shared.headers import SRC
from shared.settings import Settings
from shared.topics import EVENTS
from tests.fixtures.lines import Line, running_line
from tests.fixtures.waiting import eventually

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(180)]

BEFORE = 10_000
MEANWHILE = 40_000
GROWTH_MB = 40.0
"""Far less than the facts of `MEANWHILE` take as Python objects."""


async def write(settings: Settings, seed: int, count: int) -> None:
    name = EVENTS.named(settings.namespace)
    async with bus.Producer.open(settings) as producer:
        for number, fact in enumerate(shop_facts(count, seed, real_now_ms())):
            source = ((SRC, b"clickstream/%d/%d" % (seed, number)),)
            await producer.send(name, encode(fact), key=identity_key(fact).encode(), headers=source)
        await producer.flush()


async def metric(line: Line, name: str) -> float:
    values = [
        float(words[-1])
        for words in map(str.split, (await line.metrics("profile")).splitlines())
        if words and words[0].partition("{")[0] == name
    ]
    return sum(values)


def resident_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:"))


async def test_a_store_that_is_away_costs_no_memory_and_no_facts(
    kafka_settings: Settings, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    settings = replace(kafka_settings, redis=own_store.url)
    await write(settings, 1, BEFORE)
    async with running_line(settings, tmp_path, "profile") as line:

        async def some_applied() -> bool:
            return await metric(line, "attune_profile_facts_total") > BEFORE / 2

        await eventually(some_applied)
        own_store.kill()
        before = resident_mb(line.processes.pid("profile"))
        await write(settings, 2, MEANWHILE)

        async def paused() -> bool:
            return (
                await metric(line, "attune_profile_paused") == 1
                and await metric(line, "attune_profile_retries_total") >= 3
            )

        await eventually(paused)
        await asyncio.sleep(2)
        assert resident_mb(line.processes.pid("profile")) < before + GROWTH_MB
        await asyncio.to_thread(own_store.restart)
        report = await line.verify(within_s=90)
        assert report["applied"] == BEFORE + MEANWHILE
        assert await metric(line, "attune_profile_paused") == 0
