"""The topics themselves: make those that are missing, describe them, tell their ids and lags.

Used by `attune topics`, by whoever starts a broker, and at the start of services. Beside `bus`.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import AIOKafkaConsumer
from aiokafka import errors as kafka
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.structs import TopicPartition as KafkaPartition

from shared.bus_connection import (
    REQUEST_S,
    START_S,
    TopicPartition,
    common,
    fetching,
    started,
    translated,
)
from shared.bus_metadata import MetadataWithIds
from shared.errors import LogUnavailable, UnknownTopic
from shared.settings import Settings
from shared.topics import ALL, Topic

ALREADY_EXISTS: Final = 36


@dataclass(frozen=True, slots=True)
class TopicOnBroker:
    """A topic as the broker has it; `settings` None where it tells none (the embedded one)."""

    name: str
    partitions: int
    replication: int
    settings: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class TopicsReport:
    """What `ensure_topics` did: topics created, and by topic how existing ones differ."""

    created: list[str] = field(default_factory=list)
    differences: dict[str, list[str]] = field(default_factory=dict)


def wanted_settings(topic: Topic) -> dict[str, str]:
    """Kafka's own settings of a topic, as the registry wants them."""
    return {
        "cleanup.policy": topic.cleanup,
        "retention.ms": str(topic.retention_ms),
        "max.message.bytes": str(topic.max_message_bytes),
    }


def wanted_partitions(topic: Topic, settings: Settings) -> int:
    """Partitions of a topic in this deployment."""
    return topic.partitions or settings.partitions


def differences(topic: Topic, found: TopicOnBroker, settings: Settings) -> list[str]:
    """How a topic on the broker differs from the registry, each as one readable phrase."""
    wanted = {"partitions": str(wanted_partitions(topic, settings))}
    has = {"partitions": str(found.partitions)}
    if found.settings is not None:
        wanted |= wanted_settings(topic)
        has |= found.settings
    return [
        f"{name} is {has[name]}, wanted {value}"
        for name, value in wanted.items()
        if name in has and has[name] != value
    ]


async def ensure_topics(settings: Settings, *, wait_s: float = START_S) -> TopicsReport:
    """Creates the registry's missing topics in the configured namespace; changes no existing one.

    Raises LogUnavailable when no broker answers or it refuses, UnknownTopic when topics are missing
    and this broker cannot create any (the embedded one: its own process makes them).
    """
    async with _admin(settings, wait_s) as admin:
        found = await _describe(admin, settings)
        missing = [topic for topic in ALL if topic.named(settings.namespace) not in found]
        if missing:
            await _create(admin, settings, missing)
    report = TopicsReport(created=[topic.named(settings.namespace) for topic in missing])
    for topic in ALL:
        name = topic.named(settings.namespace)
        if name in found and (differs := differences(topic, found[name], settings)):
            report.differences[name] = differs
    return report


async def _create(admin: Any, settings: Settings, missing: Sequence[Topic]) -> None:
    asked = [
        NewTopic(
            topic.named(settings.namespace),
            wanted_partitions(topic, settings),
            settings.replication,
            topic_configs=wanted_settings(topic),
        )
        for topic in missing
    ]
    with translated(settings):
        await admin._client.force_metadata_update()
        if admin._client.cluster.controller is None:
            names = ", ".join(topic.name for topic in asked)
            raise UnknownTopic(f"missing topics, which this broker cannot make: {names}")
        answer = await admin.create_topics(asked)
    for name, code, *message in answer.topic_errors:
        if code not in {0, ALREADY_EXISTS}:
            why = (message[0] if message else None) or kafka.for_code(code).__name__
            raise LogUnavailable(f"the log refuses to create topic {name}: {why}")
    await _settled(admin, settings, {topic.name: topic.num_partitions for topic in asked})


async def _settled(admin: Any, settings: Settings, wanted: Mapping[str, int]) -> None:
    # A topic is acknowledged before its partitions have leaders; a producer would fail till then.
    async with asyncio.timeout(REQUEST_S):
        while True:
            with translated(settings):
                topics = {topic["topic"]: topic for topic in await admin.describe_topics()}
            led = {
                name: sum(part["leader"] >= 0 for part in topic["partitions"])
                for name, topic in topics.items()
            }
            if all(led.get(name) == count for name, count in wanted.items()):
                return
            await asyncio.sleep(0.05)


async def describe_topics(
    settings: Settings, *, wait_s: float = START_S
) -> dict[str, TopicOnBroker]:
    """Every topic on the broker, of whatever namespace. Raises LogUnavailable."""
    async with _admin(settings, wait_s) as admin:
        return await _describe(admin, settings)


async def _describe(admin: Any, settings: Settings) -> dict[str, TopicOnBroker]:
    with translated(settings):
        topics = [topic for topic in await admin.describe_topics() if not topic["is_internal"]]
        configs = await _configs(admin, [topic["topic"] for topic in topics])
    return {
        topic["topic"]: TopicOnBroker(
            name=topic["topic"],
            partitions=len(topic["partitions"]),
            replication=max((len(part["replicas"]) for part in topic["partitions"]), default=0),
            settings=configs.get(topic["topic"]),
        )
        for topic in topics
    }


async def _configs(admin: Any, names: Sequence[str]) -> dict[str, dict[str, str]]:
    if not names:
        return {}
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    try:
        answers = await admin.describe_configs(asked)
    except kafka.IncompatibleBrokerVersion:
        return {}
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for answer in answers
        for code, _, _, name, entries in answer.resources
        if code == 0
    }


async def partitions_of(settings: Settings, topic: str, *, wait_s: float = START_S) -> int:
    """Number of partitions of a topic. Raises UnknownTopic, LogUnavailable."""
    found = await describe_topics(settings, wait_s=wait_s)
    if topic not in found:
        raise UnknownTopic(f"the log has no topic {topic}")
    return found[topic].partitions


async def topic_id(settings: Settings, topic: str, *, wait_s: float = START_S) -> str:
    """The id the broker gave a topic when it was created: a topic made anew has another.

    A broker older than topic ids (and the embedded one, whose topics die with it) has none: then
    the cluster's id stands for it. Raises UnknownTopic, LogUnavailable.
    """
    async with _admin(settings, wait_s) as admin:
        with translated(settings):
            try:
                # Not through the admin's own call: its newest metadata version knows no ids.
                answer = await admin._send_request(MetadataWithIds())
            except kafka.IncompatibleBrokerVersion:
                answer = await admin._get_cluster_metadata()
                return await _cluster_id(answer, topic)
            except NotImplementedError:
                answer = await admin._get_cluster_metadata()
                return await _cluster_id(answer, topic)
    for entry in answer.topics:
        if entry[1] == topic and entry[0] == 0:
            return str(uuid.UUID(bytes=entry[2]))
    raise UnknownTopic(f"the log has no topic {topic}")


async def _cluster_id(answer: Any, topic: str) -> str:
    if not any(entry["topic"] == topic for entry in answer.to_object()["topics"]):
        raise UnknownTopic(f"the log has no topic {topic}")
    return f"cluster {answer.cluster_id}"


async def group_lag(
    settings: Settings, group: str, topics: Sequence[str], *, wait_s: float = START_S
) -> dict[TopicPartition, int]:
    """Records a group has not committed yet, by partition; looks on without joining the group.

    A partition without a committed offset counts from its beginning.
    """

    counts = {topic: await partitions_of(settings, topic, wait_s=wait_s) for topic in topics}
    partitions = [KafkaPartition(name, n) for name, count in counts.items() for n in range(count)]
    async with group_client(settings, group, wait_s) as client:
        with translated(settings):
            client.assign(partitions)
            begins = await client.beginning_offsets(partitions)
            ends = await client.end_offsets(partitions)
            committed = {part: await client.committed(part) for part in partitions}
    return {
        (part.topic, part.partition): ends[part] - max(begins[part], committed[part] or 0)
        for part in partitions
    }


@asynccontextmanager
async def group_client(settings: Settings, group: str, wait_s: float) -> AsyncIterator[Any]:
    """Looks at a group without joining it."""

    def create() -> Any:
        return AIOKafkaConsumer(group_id=group, **fetching(settings))

    async with started(settings, create, wait_s=wait_s) as client:
        yield client


async def ping(settings: Settings, *, groups: bool = False, wait_s: float = 2.0) -> None:
    """Raises LogUnavailable unless a broker answers within `wait_s` seconds.

    `groups`: its group coordinator must serve too, which a starting broker does a little later.
    """
    async with _admin(settings, wait_s) as admin:
        if groups:
            with translated(settings):
                async with asyncio.timeout(wait_s):
                    await admin.list_consumer_group_offsets("attune.ping")


@asynccontextmanager
async def _admin(settings: Settings, wait_s: float) -> AsyncIterator[Any]:
    def create() -> Any:
        return AIOKafkaAdminClient(**common(settings))

    async with started(settings, create, wait_s=wait_s) as admin:
        yield admin
