"""The process `attune ingest`: its start, its health, its metrics, its end."""

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from services.local.broker import EmbeddedBroker
from services.local.ports import HOST, free_port
from shared.bus import Producer, scan
from shared.events import decode
from shared.settings import Settings
from tests.fixtures.ingests import RunningIngest, ingest_process
from tests.fixtures.waiting import eventually


@pytest.fixture
def own_broker() -> Iterator[EmbeddedBroker]:
    """A broker of this test alone, to freeze."""
    broker = EmbeddedBroker.start()
    yield broker
    if broker.alive():
        os.kill(broker.pid, signal.SIGCONT)
    broker.stop()


@pytest.fixture
def settings(base_settings: Settings, own_broker: EmbeddedBroker) -> Settings:
    own_broker.create_all(base_settings)
    return own_broker.adapt(base_settings)


async def send(settings: Settings, *numbers: int) -> None:
    async with Producer.open(settings) as producer:
        for number in numbers:
            event = {"type": "searched", "event_id": f"e{number}", "customer": "ada", "query": "q"}
            topic = f"{settings.namespace}.clickstream"
            await producer.send(topic, json.dumps(event).encode(), key=b"k")
        await producer.send(f"{settings.namespace}.clickstream", b"{", key=b"k")
        await producer.flush()


async def facts(settings: Settings) -> list[str]:
    topic = f"{settings.namespace}.events"
    return [
        decode(record.value or b"").event_id
        async for records in scan(settings, topic)
        for record in records
    ]


async def has(settings: Settings, number: int) -> None:
    async def enough() -> bool:
        return len(await facts(settings)) >= number

    await eventually(enough, within_s=60)


async def readiness(running: RunningIngest) -> httpx.Response | None:
    return await asyncio.to_thread(running.answer, "health/ready")


async def test_from_start_to_a_clean_end(settings: Settings, tmp_path: Path) -> None:
    with ingest_process(settings, tmp_path) as running:
        await eventually(running.ready, within_s=60)
        await send(settings, 1, 2)
        await has(settings, 2)

        def counted() -> bool:
            answer = running.answer("metrics")
            text = "" if answer is None else answer.text
            topic = f'topic="{settings.namespace}.clickstream"'
            return (
                'attune_ingest_facts_total{type="searched"} 2.0' in text
                and 'attune_ingest_dead_letters_total{reason="malformed_json"} 1.0' in text
                and f'attune_ingest_events_total{{format="native",{topic}}} 2.0' in text
                and "attune_ingest_event_age_seconds_count 2.0" in text
                and 'attune_ingest_consumer_lag{partition="0"' in text
            )

        await eventually(counted)
        assert running.stop() == 0
    await send(settings, 3)
    with ingest_process(settings, tmp_path) as running:
        await has(settings, 3)
        assert running.stop(signal.SIGINT) == 0
    assert sorted(await facts(settings)) == ["e1", "e2", "e3"]
    assert "ada" not in running.log.read_text()


async def test_a_log_that_goes_and_comes_back(
    settings: Settings, own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    with ingest_process(settings, tmp_path) as running:
        await eventually(running.ready, within_s=60)
        os.kill(own_broker.pid, signal.SIGSTOP)

        async def unready() -> bool:
            answer = await readiness(running)
            return answer is not None and answer.status_code == 503

        await eventually(unready)
        live = await asyncio.to_thread(running.answer, "health/live")
        assert live is not None
        assert live.status_code == 200
        os.kill(own_broker.pid, signal.SIGCONT)
        await send(settings, 1)
        await has(settings, 1)
        assert running.stop() == 0


async def test_it_ends_in_time_while_the_log_is_away(
    settings: Settings, own_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    with ingest_process(settings, tmp_path) as running:
        await eventually(running.ready, within_s=60)
        os.kill(own_broker.pid, signal.SIGSTOP)
        started = time.monotonic()
        assert await asyncio.to_thread(running.stop) == 0
        assert time.monotonic() - started < 25


def test_a_port_in_use_is_one_clear_line(settings: Settings, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        with ingest_process(settings, tmp_path, port=port) as running:
            assert running.process.wait(60) == 2
        lines = running.log.read_text().splitlines()
    assert lines == [f"attune: cannot listen on {HOST}:{port}: Address already in use"]


def test_a_broker_that_is_down_is_waited_for_and_named(
    base_settings: Settings, tmp_path: Path
) -> None:
    port = free_port()
    nowhere = replace(base_settings, bootstrap=f"{HOST}:{port}")
    with ingest_process(nowhere, tmp_path) as running:
        assert running.process.wait(60) == 1
    assert running.log.read_text().splitlines() == [
        f"attune: no Kafka broker answers at {HOST}:{port} (waited 20 s)"
    ]


def test_a_signal_ends_the_wait_for_a_broker(base_settings: Settings, tmp_path: Path) -> None:
    nowhere = replace(base_settings, bootstrap=f"{HOST}:{free_port()}")
    with ingest_process(nowhere, tmp_path) as running:
        deadline = time.monotonic() + 30
        while running.answer("health/live") is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        answer = running.answer("health/ready")
        assert answer is not None
        assert answer.json()["checks"] == {"log": "Unavailable"}
        assert running.stop() == 0
    assert running.log.read_text() == ""
