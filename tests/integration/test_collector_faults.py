"""The collector when its log is away: at the start, under load, and while it stops."""

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest

from services.local.broker import EmbeddedBroker
from services.local.ports import free_port
from shared.settings import Settings
from tests.fixtures.collectors import RunningCollector, collector_process, make_key, raw_records
from tests.fixtures.waiting import eventually


@pytest.fixture
def own_broker() -> Iterator[EmbeddedBroker]:
    """A broker of this test alone, to freeze and kill."""
    broker = EmbeddedBroker.start()
    yield broker
    if broker.alive():
        os.kill(broker.pid, signal.SIGCONT)
    broker.stop()


@pytest.fixture
def own_settings(base_settings: Settings, own_broker: EmbeddedBroker) -> Settings:
    own_broker.create_all(base_settings)
    return own_broker.adapt(base_settings)


def event(number: int) -> bytes:
    fields = {"type": "item_viewed", "event_id": f"e{number}", "customer": "c1", "item": "i1"}
    return json.dumps(fields).encode()


async def send(running: RunningCollector, key: str, body: bytes) -> httpx.Response:
    async with httpx.AsyncClient(base_url=running.url, timeout=60) as client:
        headers = {"authorization": f"Bearer {key}"}
        return await client.post("/v1/events", content=body, headers=headers)


async def health(running: RunningCollector, what: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=running.url, timeout=30) as client:
        return await client.get(f"/health/{what}")


async def test_a_log_that_does_not_acknowledge_is_503_and_a_full_house_429(
    own_settings: Settings, own_broker: EmbeddedBroker
) -> None:
    key = await make_key(own_settings, "server")
    own = {"max_batch_events": 1, "in_flight_events": 1, "ack_timeout_s": 2}
    with collector_process(own_settings, **own) as running:
        assert (await send(running, key, event(0))).status_code == 200
        os.kill(own_broker.pid, signal.SIGSTOP)
        answers = await asyncio.gather(*(send(running, key, event(n)) for n in range(1, 5)))
        by_status = {answer.status_code: answer for answer in answers}
        assert by_status.keys() == {429, 503}
        full, late = by_status[429], by_status[503]
        assert (full.json()["error"]["code"], full.headers["retry-after"]) == ("busy", "1")
        assert late.json()["error"]["code"] == "log_unavailable"
        assert int(late.headers["retry-after"]) >= 1
        unready = await health(running, "ready")
        assert unready.status_code == 503
        assert unready.json()["checks"]["log"] != "ok"
        assert (await health(running, "live")).status_code == 200
        os.kill(own_broker.pid, signal.SIGCONT)

        async def taken() -> bool:
            return (await send(running, key, event(9))).status_code == 200

        await eventually(taken)
        held = {
            json.loads(r.value or b"")["event_id"]
            for r in await raw_records(own_settings, "clickstream")
        }
        assert {"e0", "e9"} <= held


async def test_a_broker_that_dies_is_503_in_bounded_time(
    own_settings: Settings, own_broker: EmbeddedBroker
) -> None:
    key = await make_key(own_settings, "server")
    with collector_process(own_settings, ack_timeout_s=2) as running:
        own_broker.kill()
        answer = await send(running, key, b"[" + event(0) + b"," + event(1) + b"]")
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        assert running.stop() == 0


async def test_a_stop_answers_what_is_in_flight(
    own_settings: Settings, own_broker: EmbeddedBroker
) -> None:
    key = await make_key(own_settings, "server")
    with collector_process(own_settings, ack_timeout_s=20) as running:
        os.kill(own_broker.pid, signal.SIGSTOP)
        waiting = asyncio.create_task(send(running, key, event(0)))

        async def held() -> bool:
            async with httpx.AsyncClient(base_url=running.url) as client:
                shown = (await client.get("/metrics")).text
            return "attune_collector_in_flight_events 1.0" in shown

        await eventually(held)
        running.process.send_signal(signal.SIGTERM)

        async def closed() -> bool:
            try:
                await health(running, "live")
            except httpx.TransportError:
                return True
            return False

        await eventually(closed)
        os.kill(own_broker.pid, signal.SIGCONT)
        answer = await waiting
        assert answer.json()["accepted"] == 1
        assert await asyncio.to_thread(running.process.wait, 30) == 0
    assert len(await raw_records(own_settings, "clickstream")) == 1


async def test_a_broker_that_is_down_at_the_start_is_waited_for_and_said(
    base_settings: Settings,
) -> None:
    away = replace(base_settings, bootstrap=f"127.0.0.1:{free_port()}")
    key = await make_key(away, "server")
    with collector_process(away, ready=False, start_timeout_s=4) as running:
        unready = await health(running, "ready")
        assert unready.status_code == 503
        assert unready.json()["checks"] == {"log": "LogUnavailable", "keys": "ok"}
        answer = await send(running, key, event(0))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "log_unavailable")
        assert await asyncio.to_thread(running.process.wait, 60) == 1
        last = running.said().strip().splitlines()[-1]
        assert last == f"attune: no Kafka broker answers at {away.bootstrap} (waited 4 s)"


async def test_a_database_that_is_away_is_waited_for(
    own_settings: Settings, own_broker: EmbeddedBroker
) -> None:
    away = replace(
        own_settings, database=f"postgresql+asyncpg://nobody@127.0.0.1:{free_port()}/attune"
    )
    with collector_process(away, ready=False) as running:
        checks = (await health(running, "ready")).json()["checks"]
        assert checks["keys"] == "Unavailable"
        answer = await send(running, "atn_server_x_y", event(0))
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")
        assert running.stop() == 0
