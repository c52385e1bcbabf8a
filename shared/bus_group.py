"""Members of consumer groups: the loop of ingest and profile reads through one.

Beside `bus`, which exports GroupConsumer.
"""

import asyncio
import time
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import asynccontextmanager
from typing import Any, NamedTuple, Self, TypeAlias

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener
from aiokafka import errors as kafka
from aiokafka.structs import TopicPartition as KafkaPartition

from shared.bus_connection import (
    REQUEST_S,
    START_S,
    Record,
    TopicPartition,
    check,
    fetching,
    started,
    translated,
)
from shared.bus_offsets import Bounds, Commit, bounds_of, commits_of
from shared.errors import LogTruncated
from shared.settings import Settings

Listener: TypeAlias = Callable[[list[TopicPartition]], Awaitable[None]]

SESSION_MS = 6_000
"""A member that died is replaced after this long."""
HEARTBEAT_MS = 1_000
METADATA_MS = 30_000
"""Partitions that were added to a topic are noticed after this long."""
CURRENT_S = 1.5
"""How old the broker's last word on where a partition ends may be; it answers twice a second."""
REBALANCE_MS = 30_000
"""How long `on_revoked` may drain before the group goes on without this member."""


class _Rebalance(ConsumerRebalanceListener):  # type: ignore[misc]
    """Hands assignment changes to coroutines; keeps what they raise for the next poll.

    aiokafka logs and forgets an error of its listener, and goes on as if all had been drained.
    """

    def __init__(self, on_assigned: Listener | None, on_revoked: Listener | None) -> None:
        self.on_assigned = on_assigned
        self.on_revoked = on_revoked
        self.failure: Exception | None = None
        self.sought: set[KafkaPartition] = set()
        """Partitions that were told where to begin since they came."""

    async def on_partitions_assigned(self, assigned: set[KafkaPartition]) -> None:
        self.sought -= assigned
        await self._tell(self.on_assigned, assigned)

    async def on_partitions_revoked(self, revoked: set[KafkaPartition]) -> None:
        self.sought -= revoked
        if revoked:
            await self._tell(self.on_revoked, revoked)

    async def _tell(self, listener: Listener | None, partitions: set[KafkaPartition]) -> None:
        if listener is None:
            return
        try:
            await listener(sorted((topic, partition) for topic, partition in partitions))
        except Exception as error:
            self.failure = error


class _End(NamedTuple):
    """Where a partition ended by the broker's last answer before a poll. state: that of aiokafka,
    another one after a rebalance; told_at: epoch ms."""

    state: Any
    offset: int
    told_at: float


class GroupConsumer:
    """One member of a consumer group; offsets are committed by the caller only. Open with `open`.

    Closing leaves the group (a static member keeps its place); drain and commit before that, since
    `on_revoked` tells of rebalances only.
    """

    def __init__(
        self, client: Any, rebalance: _Rebalance, settings: Settings, *, complete: bool = False
    ) -> None:
        self._client = client
        self._rebalance = rebalance
        self._complete = complete
        self._settings = settings
        self._ends: dict[TopicPartition, _End] = {}

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings,
        *,
        group: str,
        topics: Sequence[str],
        on_assigned: Listener | None = None,
        on_revoked: Listener | None = None,
        instance_id: str | None = None,
        complete: bool = False,
        wait_s: float = START_S,
    ) -> AsyncIterator[Self]:
        """Joins `group`; both listeners get sorted (topic, partition) pairs.

        `on_revoked` is awaited before any other member gets the partitions, for at most 30 s. What
        a listener raises comes out of the next poll. A group without offsets begins at the start,
        and goes on behind what retention dropped; with `complete` nothing is skipped: a partition
        yields nothing before `seek`, and what is gone raises LogTruncated in `poll`.
        Raises LogUnavailable when no broker answers within `wait_s` seconds.
        """
        rebalance = _Rebalance(on_assigned, on_revoked)

        def create() -> Any:
            client = AIOKafkaConsumer(
                group_id=group,
                group_instance_id=instance_id,
                session_timeout_ms=SESSION_MS,
                heartbeat_interval_ms=HEARTBEAT_MS,
                rebalance_timeout_ms=REBALANCE_MS,
                metadata_max_age_ms=METADATA_MS,
                **fetching(settings) | ({"auto_offset_reset": "none"} if complete else {}),
            )
            client.subscribe(list(topics), listener=rebalance)
            return client

        async with started(settings, create, wait_s=wait_s) as client:
            yield cls(client, rebalance, settings, complete=complete)

    async def poll(
        self, *, max_records: int, timeout_ms: int
    ) -> dict[TopicPartition, list[Record]]:
        """The next records by partition; nothing after `timeout_ms` without any.

        A broker that is away yields nothing until it is back. Raises what a listener raised, and
        LogTruncated where a member that asked for all meets a gap.
        """
        # Before reading: records read and then not returned would be skipped for good.
        failure, self._rebalance.failure = self._rebalance.failure, None
        if failure is not None:
            raise failure
        only = self._rebalance.sought if self._complete else ()
        if self._complete and not only:
            await asyncio.sleep(timeout_ms / 1000)
            return {}
        self._ends = dict(self._told_ends())
        with translated(self._settings):
            try:
                records: dict[TopicPartition, list[Record]] = await self._client.getmany(
                    *only, timeout_ms=timeout_ms, max_records=max_records
                )
            except kafka.OffsetOutOfRangeError as error:
                raise LogTruncated(
                    f"the log no longer has what was to be read next ({error})"
                ) from error
        return records

    async def commit(self, offsets: Mapping[TopicPartition, int], metadata: str = "") -> None:
        """Commits, per partition, the offset of the next record to read, with a word beside it.

        Raises Rebalanced when a partition has gone to another member, LogUnavailable when the
        broker does not answer in time.
        """
        if not offsets:
            return
        with translated(self._settings):
            async with asyncio.timeout(REQUEST_S):
                await self._client.commit(
                    {
                        KafkaPartition(*partition): (offset, metadata)
                        for partition, offset in offsets.items()
                    }
                )

    def assigned(self) -> frozenset[TopicPartition]:
        """The partitions this member has now."""
        return frozenset((topic, partition) for topic, partition in self._client.assignment())

    async def lag(self) -> dict[TopicPartition, int]:
        """Records between what poll returned and the end of the log, by assigned partition."""
        partitions = self._client.assignment()
        with translated(self._settings):
            async with asyncio.timeout(REQUEST_S):
                ends = await self._client.end_offsets(partitions) if partitions else {}
                return {
                    (topic, partition): max(
                        0, end - await self._client.position(KafkaPartition(topic, partition))
                    )
                    for (topic, partition), end in ends.items()
                }

    def caught_up(self) -> frozenset[TopicPartition]:
        """The partitions that were read up to where they ended when poll was last called.

        Not up to where they end by now: answers come in while a batch is worked on, and of a
        partition with steady traffic nobody has ever read all. Costs no request. A partition of
        which nothing was fetched yet, or nothing lately (this process was stopped, or its broker is
        away), is not among them.
        """
        since = (time.time() - CURRENT_S) * 1000
        standing = {partition: end.state for partition, end in self._told_ends()}
        return frozenset(
            partition
            for partition, end in self._ends.items()
            if end.told_at >= since
            and end.state.has_valid_position
            and end.state.position >= end.offset
            and standing.get(partition) is end.state
        )

    def _told_ends(self) -> Iterator[tuple[TopicPartition, _End]]:
        subscription = self._client._subscription.subscription
        assignment: Any = None if subscription is None else subscription.assignment
        for partition in () if assignment is None else assignment.tps:
            state: Any = assignment.state_value(partition)
            if state.highwater is not None:
                yield tuple(partition), _End(state, state.highwater, state.timestamp)

    async def committed(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Commit]:
        """What the group has committed, where it has."""
        with translated(self._settings):
            async with asyncio.timeout(REQUEST_S):
                return await commits_of(self._client, list(partitions))

    async def bounds(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, Bounds]:
        """Where partitions begin and end now."""
        with translated(self._settings):
            async with asyncio.timeout(REQUEST_S):
                asked = [KafkaPartition(*partition) for partition in partitions]
                return await bounds_of(self._client, asked)

    def pause(self, *partitions: TopicPartition) -> None:
        """Stops fetching these until `resume`; raises Rebalanced where they have gone."""
        with translated(self._settings):
            self._client.pause(*(KafkaPartition(*partition) for partition in partitions))

    def resume(self, *partitions: TopicPartition) -> None:
        """Fetches these again."""
        with translated(self._settings):
            self._client.resume(*(KafkaPartition(*partition) for partition in partitions))

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Makes the next poll return this partition from `offset` on."""
        with translated(self._settings):
            self._client.seek(KafkaPartition(*partition), offset)
            self._rebalance.sought.add(KafkaPartition(*partition))

    async def check(self) -> None:
        """Raises LogUnavailable unless a broker answers now (for readiness)."""
        await check(self._client._client, self._settings)
