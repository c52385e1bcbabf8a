"""A member with a name of its own keeps its partitions over a restart, on Apache Kafka."""

import asyncio
import time
from functools import partial

import pytest

from shared import bus
from shared.bus_group import SESSION_MS
from shared.settings import Settings
from shared.topics import EVENTS
from tests.fixtures.waiting import eventually

pytestmark = pytest.mark.kafka


async def test_a_named_member_that_restarts_moves_no_partition(
    kafka_settings: Settings, namespace: str
) -> None:
    told: list[str] = []

    async def note(what: str, partitions: list[bus.TopicPartition]) -> None:
        told.append(what)

    events = EVENTS.named(kafka_settings.namespace)
    member = partial(bus.GroupConsumer.open, kafka_settings, group=namespace, topics=[events])
    listeners = {name: partial(note, name) for name in ("on_assigned", "on_revoked")}
    async with member(instance_id="one", **listeners) as one:
        async with member(instance_id="two") as two:
            # The first member is told of its part only after it has it.
            await eventually(
                lambda: (
                    len(one.assigned()) == len(two.assigned()) == 2 and told[-1] == "on_assigned"
                )
            )
            kept, mine = two.assigned(), one.assigned()
            told.clear()
        began = time.monotonic()
        async with member(instance_id="two") as two:
            await eventually(lambda: two.assigned() == kept, what="its former partitions")
            assert time.monotonic() - began < SESSION_MS / 1000
            # Heartbeats would tell of a rebalance.
            await asyncio.sleep(2.5)
            assert (one.assigned(), told) == (mine, [])
