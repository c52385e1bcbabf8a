"""Offsets of groups and topics, read without joining anything: what starts and rebuilds rest on.

Beside `bus`. A commit of the group `profile` names, as its metadata, the generation of profiles
that it counts for.
"""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer
from aiokafka.structs import TopicPartition as KafkaPartition

from shared.bus_admin import group_client, partitions_of, topic_id
from shared.bus_connection import REQUEST_S, START_S, TopicPartition, fetching, started, translated
from shared.settings import Settings


class Commit(NamedTuple):
    """A committed offset (the next record to read) and what was written beside it."""

    offset: int
    metadata: str


class Bounds(NamedTuple):
    """A partition's first offset that is still there, and the one of its next record."""

    begin: int
    end: int


class TopicShape(NamedTuple):
    """What must not change under a fold: the topic's id and its number of partitions."""

    incarnation: str
    partitions: int


async def topic_shape(settings: Settings, topic: str) -> TopicShape:
    """Raises UnknownTopic, LogUnavailable."""
    return TopicShape(await topic_id(settings, topic), await partitions_of(settings, topic))


async def read_commits(
    settings: Settings, group: str, topic: str, *, wait_s: float = START_S
) -> dict[int, Commit]:
    """What a group has committed of a topic, by partition. Raises LogUnavailable."""
    partitions = range(await partitions_of(settings, topic, wait_s=wait_s))
    async with group_client(settings, group, wait_s) as client:
        with translated(settings):
            async with asyncio.timeout(REQUEST_S):
                found = await commits_of(client, [(topic, number) for number in partitions])
    return {number: commit for (_, number), commit in found.items()}


async def commits_of(
    client: Any, partitions: "list[TopicPartition]"
) -> dict[TopicPartition, Commit]:
    """Through a consumer of ours: aiokafka's own `committed` drops the metadata."""
    asked = [KafkaPartition(*partition) for partition in partitions]
    found: Mapping[Any, Any] = await client._coordinator.fetch_committed_offsets(asked)
    return {
        (topic, number): Commit(commit.offset, commit.metadata or "")
        for (topic, number), commit in found.items()
    }


async def topic_bounds(
    settings: Settings, topic: str, *, wait_s: float = START_S
) -> dict[int, Bounds]:
    """Where each partition of a topic begins and ends now."""
    count = await partitions_of(settings, topic, wait_s=wait_s)

    def create() -> Any:
        return AIOKafkaConsumer(**fetching(settings))

    async with started(settings, create, wait_s=wait_s) as client:
        with translated(settings):
            partitions = [KafkaPartition(topic, number) for number in range(count)]
            client.assign(partitions)
            return {
                number: bounds
                for (_, number), bounds in (await bounds_of(client, partitions)).items()
            }


async def bounds_of(client: Any, partitions: list[Any]) -> dict[TopicPartition, Bounds]:
    """Through a consumer of ours."""
    begins = await client.beginning_offsets(partitions)
    ends = await client.end_offsets(partitions)
    return {
        (topic, number): Bounds(begins[topic, number], ends[topic, number])
        for topic, number in partitions
    }
