"""Which generation a worker follows, and from where it reads each partition of the log for it.

A commit counts for the generation that it names; for another one a partition begins where the
pointer says. What does not fit (another topic, other partitions, a start that is gone) is refused:
folding on would skip facts, or count them twice.
"""

import logging
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from services.profile.items.interest_store import InterestStore
from services.profile.store import ProfileStore
from services.profile.store_values import (
    GenerationMoved,
    PartitionsChanged,
    RecreatedTopic,
    StoreEmptied,
)
from shared.bus import GroupConsumer, TopicPartition
from shared.bus_offsets import Bounds, Commit, TopicShape
from shared.errors import LogTruncated
from shared.generation import Generation
from shared.generation_store import GenerationStore

log = logging.getLogger(__name__)

REBUILD: Final = "run `attune rebuild`"

Shape = Callable[[], Awaitable[TopicShape]]
"""Asks the broker for the topic `events` as it is now."""


async def begin_generation(
    generations: GenerationStore, shape: TopicShape, committed: Collection[Commit]
) -> Generation:
    """The live generation; the first worker of a deployment makes it.

    Raises StoreEmptied where the group has folded facts before and no generation is left,
    RecreatedTopic and PartitionsChanged where the live one is of another log.
    """
    live = (await generations.read()).live
    if live is None:
        if any(commit.offset for commit in committed):
            raise emptied()
        live = await generations.mint(shape.incarnation, shape.partitions)
    refuse_other_log(live, shape)
    return live


def emptied() -> StoreEmptied:
    """What to say where profiles are gone."""
    return StoreEmptied(
        f"Redis has lost the profiles that were folded from the committed facts; {REBUILD}"
    )


def refuse_other_log(generation: Generation, shape: TopicShape) -> None:
    """Raises RecreatedTopic or PartitionsChanged."""
    if shape.incarnation != generation.incarnation:
        raise RecreatedTopic(
            "profiles were folded from another incarnation of the topic events; restore that "
            f"topic, or {REBUILD} to keep only what the new one holds"
        )
    refuse_other_partitions(generation, shape)


def refuse_other_partitions(generation: Generation, shape: TopicShape) -> None:
    """Raises PartitionsChanged: not even a rebuild can tell the order of an identity's facts."""
    if shape.partitions != generation.partitions:
        raise PartitionsChanged(
            f"the topic events has {shape.partitions} partitions, and profiles were folded from "
            f"{generation.partitions}: the facts of one identity now lie in two of them; give the "
            "topic its number back, or copy its records into a new one"
        )


class Following:
    """One worker's generation. `store`, and the index beside it, always write to it."""

    def __init__(
        self,
        generations: GenerationStore,
        store: ProfileStore,
        generation: Generation,
        shape: Shape,
        index: InterestStore | None = None,
    ) -> None:
        self._index = index
        self._generations = generations
        self._store = store
        self._shape = shape
        self._use(generation)

    async def moved(self) -> bool:
        """Whether another generation is live by now; then the store writes to that one.

        Raises StoreEmptied where there is none any more.
        """
        token = await self._generations.live_token()
        if token == self.generation.token:
            return False
        live = (await self._generations.read()).live
        if live is None:
            raise emptied()
        log.info("another generation is live", extra={"generation": live.token})
        refuse_other_log(live, await self._shape())
        self._use(live)
        return True

    def _use(self, generation: Generation) -> None:
        self.generation = generation
        self._store.use(generation.token)
        if self._index is not None:
            self._index.use(generation.token)

    async def refuse_moved(self) -> None:
        """Raises GenerationMoved unless this generation is live still, and so has all its keys:
        they are removed only after another went live."""
        if await self._generations.live_token() != self.generation.token:
            raise GenerationMoved("another generation went live while a batch was folded")

    async def check(self) -> None:
        """Raises RecreatedTopic, PartitionsChanged."""
        refuse_other_log(self.generation, await self._shape())

    async def place(
        self, consumer: GroupConsumer, partitions: Collection[TopicPartition]
    ) -> set[TopicPartition]:
        """Has these partitions read from where this generation needs them; returns those placed.

        Raises LogTruncated where that start is not in the log, StoreEmptied where the store has
        lost what was folded before it.
        """
        placed = set(partitions) & consumer.assigned()
        if any(number >= self.generation.partitions for _, number in placed):
            await self.check()
        commits = await consumer.committed(placed)
        bounds = await consumer.bounds(placed)
        known = await self._store.item_positions([number for _, number in placed])
        for partition in placed & consumer.assigned():
            start = self.generation.start(partition[1], commits.get(partition))
            refuse_gap(partition, start, bounds[partition])
            refuse_loss(partition, start, known[partition[1]] + 1)
            consumer.seek(partition, start)
        return placed & consumer.assigned()


def refuse_loss(partition: TopicPartition, start: int, known: int) -> None:
    """Raises StoreEmptied where the store knows facts up to `known` only and the group committed
    more: it was put back to an older state than it may forget by itself."""
    if start > known:
        name = f"{partition[0]}/{partition[1]}"
        raise StoreEmptied(
            f"Redis holds {name} up to offset {known}, and {start} was committed: it has lost "
            f"{start - known} facts or more, as when a backup is restored; {REBUILD}"
        )


def refuse_gap(partition: TopicPartition, start: int, bounds: Bounds) -> None:
    """Raises LogTruncated unless a partition still has everything from `start` on."""
    name = f"{partition[0]}/{partition[1]}"
    if start < bounds.begin:
        raise LogTruncated(
            f"{name} begins at offset {bounds.begin} and profiles need it from {start} on: "
            f"{bounds.begin - start} facts are gone from the log (retention, or the embedded "
            f"broker's 5 MiB a partition); {REBUILD} --from archive"
        )
    if start > bounds.end:
        raise LogTruncated(
            f"{name} ends at offset {bounds.end} and facts up to {start} were folded from it: "
            f"the broker has lost its end; {REBUILD} once you know why"
        )
