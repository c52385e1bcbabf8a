"""The decision log: every record is in the log, waits, or is counted as dropped."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from services.recommend import decision_log
from services.recommend.decision_log import DecisionLog
from services.recommend.metrics import RecommendMetrics
from shared.errors import AttuneError, LogUnavailable, TooLarge
from tests.fixtures.waiting import eventually


class Broker:
    """A sender whose buffer loses what `failures` say, first when it is flushed."""

    def __init__(self) -> None:
        self.buffer: list[bytes] = []
        self.log: list[bytes] = []
        self.failures: list[AttuneError] = []

    async def send_all(self, _topic: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        values = [value for _, value in records]
        if b"huge" in values:
            raise TooLarge("too large")
        self.buffer += values

    async def flush(self) -> None:
        values, self.buffer = self.buffer, []
        await asyncio.sleep(0)
        if self.failures:
            raise self.failures.pop(0)
        self.log += values


@asynccontextmanager
async def running(broker: Broker, registry: CollectorRegistry) -> AsyncIterator[DecisionLog]:
    log = DecisionLog(broker, "decisions", 600, RecommendMetrics(registry))
    task = asyncio.create_task(log.run())
    try:
        yield log
    finally:
        task.cancel()
        await asyncio.wait([task])
        await log.finish()


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_log, "GATHER_S", 0.001)
    monkeypatch.setattr(decision_log, "RETRY_S", 0.001)


def count(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(f"attune_recommend_decisions_{name}_total", labels) or 0.0


async def test_what_fails_after_it_was_sent_is_sent_again() -> None:
    broker, registry = Broker(), CollectorRegistry()
    broker.failures = [LogUnavailable("away"), LogUnavailable("away")]
    async with running(broker, registry) as log:
        for number in range(700):
            log.put(b"k", b"%d" % number)
        await eventually(lambda: len(broker.log) == 600)
        log.put(b"k", b"more")
        await eventually(lambda: not len(log))
    assert broker.log == [*(b"%d" % number for number in range(600)), b"more"]
    assert count(registry, "written") == 601
    assert count(registry, "dropped", why="buffer_full") == 100


async def test_what_is_refused_for_its_size_is_counted_and_holds_nothing_up() -> None:
    broker, registry = Broker(), CollectorRegistry()
    broker.failures = [TooLarge("too large")]
    async with running(broker, registry) as log:
        log.put(b"k", b"refused")
        await eventually(lambda: count(registry, "dropped", why="too_large") == 1)
        log.put(b"k", b"huge")
        await eventually(lambda: count(registry, "dropped", why="too_large") == 2)
        log.put(b"k", b"good")
        await eventually(lambda: broker.log == [b"good"])
    assert count(registry, "written") == 1


async def test_what_cannot_be_flushed_at_the_end_is_counted() -> None:
    broker, registry = Broker(), CollectorRegistry()
    async with running(broker, registry) as log:
        await asyncio.sleep(0)
        log.put(b"k", b"lost")
        broker.failures = [LogUnavailable("away")]
    assert count(registry, "dropped", why="stopped") == 1
