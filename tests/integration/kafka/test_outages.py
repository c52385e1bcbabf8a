"""Real services on Apache Kafka that is killed, frozen, or loses its leaders, while events flow.

Whatever happens: what the collector accepted is in `events`, profiles equal the replay, and the
balance is exact.
"""

import asyncio
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from services.local.apache import ApacheCluster, ApacheKafka
from services.local.store import EmbeddedStore
from shared.settings import Settings
from tests.fixtures.lines import Line, Shoppers, running_line, shopping

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]

OUTAGE_S = 10.0
LONG_OUTAGE_S = 60.0


async def nothing_lost_nothing_twice(line: Line, shoppers: Shoppers) -> None:
    report = await line.verify()
    in_log = set(await line.facts())
    assert shoppers.accepted - in_log == set()
    assert report["applied"] >= len(shoppers.accepted)


async def outage(settings: Settings, kafka: ApacheKafka, folder: Path, seconds: float) -> None:
    async with running_line(settings, folder) as line:
        async with shopping(line) as shoppers:
            await shoppers.more(400)
            kafka.kill()
            await asyncio.sleep(seconds)
            assert set(shoppers.statuses) <= {200, 429, 503}
            assert shoppers.statuses[503] > 0
            await asyncio.to_thread(kafka.restart)
            await shoppers.more(400)
        await nothing_lost_nothing_twice(line, shoppers)


async def test_a_broker_that_is_killed_and_away_for_a_while(
    base_settings: Settings, own_kafka: ApacheKafka, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    settings = replace(base_settings, bootstrap=own_kafka.bootstrap, redis=own_store.url)
    await outage(settings, own_kafka, tmp_path, OUTAGE_S)


@pytest.mark.long
async def test_a_broker_that_is_away_for_a_minute(
    base_settings: Settings, own_kafka: ApacheKafka, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    settings = replace(base_settings, bootstrap=own_kafka.bootstrap, redis=own_store.url)
    await outage(settings, own_kafka, tmp_path, LONG_OUTAGE_S)


@pytest.mark.long
async def test_a_broker_that_does_not_answer_in_time(
    base_settings: Settings, own_kafka: ApacheKafka, own_store: EmbeddedStore, tmp_path: Path
) -> None:
    settings = replace(base_settings, bootstrap=own_kafka.bootstrap, redis=own_store.url)
    async with running_line(settings, tmp_path) as line:
        async with shopping(line) as shoppers:
            for _ in range(3):
                await shoppers.more(200)
                os.kill(own_kafka.pid, signal.SIGSTOP)
                await asyncio.sleep(13)
                os.kill(own_kafka.pid, signal.SIGCONT)
            await shoppers.more(200)
        await nothing_lost_nothing_twice(line, shoppers)


@pytest.mark.long
async def test_leaders_that_are_killed_one_after_the_other(
    base_settings: Settings,
    kafka_cluster: ApacheCluster,
    own_store: EmbeddedStore,
    tmp_path: Path,
) -> None:
    settings = replace(
        base_settings, bootstrap=kafka_cluster.bootstrap, redis=own_store.url, replication=3
    )
    async with running_line(settings, tmp_path) as line:
        async with shopping(line) as shoppers:
            await shoppers.more(200)
            for node in kafka_cluster.nodes * 2:
                node.kill()
                await shoppers.more(200)
                await asyncio.to_thread(node.restart)
                await shoppers.more(100)
        await nothing_lost_nothing_twice(line, shoppers)
