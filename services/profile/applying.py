"""One batch of facts, applied: steps 1 to 7 of the profile loop (see `worker`), and their memory.

Invariant: what is held in memory is what was written; after any failure `forget` is called and the
batch is taken up again.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Final, NamedTuple

from services.profile import metrics
from services.profile.batch import (
    Decoded,
    Effects,
    decode_batch,
    fold_identity,
    item_increments,
)
from services.profile.cache import IdentityCache
from services.profile.counting import count_verdicts
from services.profile.identity import Delivery, Identity
from services.profile.items.indexing import InterestIndex
from services.profile.moments.rules import Rules
from services.profile.publisher import Publisher
from services.profile.stages import Stages
from services.profile.store import ProfileStore
from services.profile.store_values import DueTimer, ItemBatch
from shared.bus import Record, TopicPartition
from shared.clock import Clock, Now
from shared.errors import Unavailable

log = logging.getLogger(__name__)

SAVE_ATTEMPTS: Final = 20
REAL: Final = Clock()

Records = Mapping[TopicPartition, Sequence[Record]]
StillLive = Callable[[], Awaitable[None]]
"""Raises where what was read to fold upon may have been removed already."""
Fold = Callable[[Identity, Sequence[Delivery]], Effects]


class Applied(NamedTuple):
    """What a batch came to, by identity."""

    decoded: Decoded
    identities: Mapping[str, Identity]
    effects: Mapping[str, Effects]

    @property
    def soonest(self) -> int | None:
        """When the first of the timers that it moved is due (business epoch ms)."""
        dues = [effect.due for effect in self.effects.values() if effect.due is not None]
        return min(dues, default=None)


class Applier:
    """Applies batches to one store. Without a publisher nothing is published: outboxes stay.

    interest: the index of who is interested in what, where scenarios need it; rules: gives the
    scenarios that facts are noted for; without it nothing is.
    """

    def __init__(
        self,
        store: ProfileStore,
        publisher: Publisher | None,
        cache: IdentityCache,
        interest: InterestIndex | None = None,
        rules: Callable[[], Rules] | None = None,
        clock: Now = REAL,
    ) -> None:
        self._interest = interest
        self._rules = rules
        self._clock = clock
        self._store = store
        self._publisher = publisher
        self._cache = cache
        self._item_positions: dict[int, int] = {}
        self.stages = Stages()

    def forget(self) -> None:
        """Drops what is held in memory: the next batch reads everything anew."""
        self._cache.clear()
        self._item_positions.clear()

    async def apply(
        self,
        records: Records,
        still_live: StillLive | None = None,
        ended: Collection[int] = (),
    ) -> Applied:
        """Folds, writes and publishes. May be called again with what failed, or part of it.

        ended: partitions of which these are the last records, so that what they make of segments
        and stages can be stated.
        """
        with self.stages.measure("decode"):
            decoded = decode_batch(record for batch in records.values() for record in batch)
        if decoded.malformed:
            metrics.MALFORMED.inc(decoded.malformed)
            log.error("records in events are no facts", extra={"records": decoded.malformed})
        identities = await self._load(decoded.deliveries)
        with self.stages.measure("fold"):
            fold = self._fold(ended)
            effects = {
                key: fold(identities[key], deliveries)
                for key, deliveries in decoded.deliveries.items()
            }
        with self.stages.measure("store"):
            ends = {partition: batch[-1].offset for (_, partition), batch in records.items()}
            await self._count_items(ends, decoded, effects)
            if self._interest is not None:
                await self._interest.note(decoded.deliveries, effects)
            await self._save(identities, decoded, effects, fold)
            await self._schedule(decoded, effects)
        with self.stages.measure("publish"):
            outdated = await self._publish(identities, effects, still_live)
        self._cache.put(identities[key] for key in identities.keys() - outdated)
        count_verdicts(decoded, effects)
        metrics.CACHED.set(len(self._cache))
        return Applied(decoded, identities, effects)

    async def pass_over(self, partition: int, offset: int) -> None:
        """Notes that a partition was read up to there, where the last offsets hold no record."""
        await self._count_items({partition: offset}, Decoded(), {})

    async def _load(self, deliveries: Mapping[str, object]) -> dict[str, Identity]:
        with self.stages.measure("load"):
            identities = self._cache.take(deliveries)
            missing = [key for key in deliveries if key not in identities]
            if missing:
                identities |= await self._store.load(missing)
        return identities

    async def _count_items(
        self, ends: Mapping[int, int], decoded: Decoded, effects: Mapping[str, Effects]
    ) -> None:
        unknown = [partition for partition in ends if partition not in self._item_positions]
        if unknown:
            self._item_positions |= await self._store.item_positions(unknown)
        while True:
            added = item_increments(decoded.deliveries, effects, self._item_positions)
            # Also where nothing is counted: placing compares the positions with what is committed.
            batches = [
                ItemBatch(partition, standing_at, end, added.get(partition, {}))
                for partition, end in ends.items()
                if end > (standing_at := self._item_positions[partition])
            ]
            if not batches:
                return
            standing = await self._store.count_items(batches)
            for batch, position in zip(batches, standing, strict=True):
                self._item_positions[batch.partition] = position
            if standing == [batch.position for batch in batches]:
                return

    async def _schedule(self, decoded: Decoded, effects: Mapping[str, Effects]) -> None:
        await self._store.schedule(
            DueTimer(decoded.deliveries[key][0].partition, key, effect.due)
            for key, effect in effects.items()
            if effect.due is not None
        )

    def _fold(self, ended: Collection[int]) -> Fold:
        """One set of rules and one time for a whole batch."""
        rules = None if self._rules is None else self._rules()
        now = self._clock.now_ms()

        def fold(identity: Identity, deliveries: Sequence[Delivery]) -> Effects:
            last = deliveries[-1].partition in ended
            return fold_identity(identity, deliveries, rules, now if last else None, now)

        return fold

    async def _save(
        self,
        identities: dict[str, Identity],
        decoded: Decoded,
        effects: dict[str, Effects],
        fold: Fold,
    ) -> None:
        waiting = [identities[key] for key, effect in effects.items() if effect.changed]
        for _ in range(SAVE_ATTEMPTS):
            refused = [identity.key for identity in await self._store.save(waiting)]
            if not refused:
                return
            metrics.CONFLICTS.inc(len(refused))
            identities |= await self._store.load(refused)
            again = {key: fold(identities[key], decoded.deliveries[key]) for key in refused}
            effects |= again
            await self._schedule(decoded, again)
            waiting = [identities[key] for key in refused if effects[key].changed]
        raise Unavailable("profiles are being written by another process at the same time")

    async def _publish(
        self,
        identities: Mapping[str, Identity],
        effects: Mapping[str, Effects],
        still_live: StillLive | None,
    ) -> set[str]:
        messages = [message for effect in effects.values() for message in effect.messages]
        forwarded = [entry for effect in effects.values() for entry in effect.forwarded]
        if self._publisher is None or (not messages and not forwarded):
            return set()
        if still_live is not None:
            # Nobody takes back what is in the log: it must not come from profiles half removed.
            await still_live()
        standing = await self._publisher.publish(forwarded, messages)
        sent = [identities[key] for key, effect in effects.items() if effect.forwarded]
        for identity in sent:
            identity.outbox = [entry for entry in identity.outbox if entry.fact_id in standing]
        # Where somebody wrote in between, the entries stay and are published again: that is safe.
        outdated = {identity.key for identity in await self._store.save_beside(sent)}
        metrics.CONFLICTS.inc(len(outdated))
        return outdated
