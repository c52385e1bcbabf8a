"""Fires due timers: reads the index, asks the state again, states the verdict as a fact.

The entry stays in the index until its fact has been folded, so a crash anywhere in between only
means that the same fact, with the same id, is stated or published again.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from services.profile import metrics
from services.profile.cache import IdentityCache
from services.profile.identity import Identity, OutboxEntry
from services.profile.publisher import Publisher
from services.profile.store import ProfileStore
from services.profile.store_values import DueTimer
from services.profile.triggers.timers import fire
from shared.clock import Clock

TICK_S: Final = 0.1
REPUBLISH_S: Final = 5.0
LIMIT: Final = 500


class TimerLoop:
    """The timers of the partitions that this process owns. Called between batches."""

    def __init__(
        self, store: ProfileStore, publisher: Publisher, cache: IdentityCache, clock: Clock
    ) -> None:
        self._cache = cache
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._next_tick = 0.0
        self._published: dict[str, float] = {}

    async def tick(self, partitions: Iterable[int]) -> None:
        """Fires what is due, at most every 100 ms of real time."""
        now = time.monotonic()
        if now < self._next_tick:
            return
        self._next_tick = now + TICK_S
        due = await self._store.due(partitions, self._clock.now_ms(), LIMIT)
        if due:
            await self._fire(due, now)

    async def _fire(self, due: list[DueTimer], monotonic: float) -> None:
        now = self._clock.now_ms()
        identities = await self._store.load([timer.key for timer in due])
        stale: list[DueTimer] = []
        later: dict[DueTimer, int] = {}
        stated: list[Identity] = []
        entries: list[OutboxEntry] = []
        for timer in due:
            fired = fire(identities[timer.key], now)
            if fired.stated is not None:
                stated.append(identities[timer.key])
                entries.append(fired.stated)
                metrics.TIMERS_LATE.observe(max(0, now - timer.due) / 1000)
            elif fired.standing:
                entries += self._not_just_published(fired.standing, monotonic)
            elif fired.later is not None:
                later[timer] = fired.later
            else:
                stale.append(timer)
        # What is written here outdates what the worker holds.
        self._cache.take(identity.key for identity in stated)
        refused = {identity.key for identity in await self._store.save(stated)}
        # Who was refused has just been written by a fold; its entry is looked at again next tick.
        entries = [entry for entry in entries if entry.key not in refused]
        if entries:
            await self._publisher.publish(entries)
            self._remember(entries, monotonic)
        if stale or later:
            await self._store.settle(stale, later)
            await self._look_again(stale, later, now)

    async def _look_again(
        self, stale: Sequence[DueTimer], later: Mapping[DueTimer, int], now: int
    ) -> None:
        """Puts back what another process has written a reason for in between.

        Whoever folds writes the state first and then the index: either that entry came after the
        removal, or the state is seen here.
        """
        settled = (*stale, *later)
        identities = await self._store.load([timer.key for timer in settled])
        missed: list[DueTimer] = []
        for timer in settled:
            # On what was just loaded and is thrown away: a decision takes another tick.
            fired = fire(identities[timer.key], now)
            if fired.stated is not None or fired.standing:
                missed.append(timer)
            elif fired.later is not None and fired.later != later.get(timer):
                missed.append(timer._replace(due=fired.later))
        await self._store.schedule(missed)

    def _not_just_published(
        self, entries: Iterable[OutboxEntry], monotonic: float
    ) -> list[OutboxEntry]:
        since = monotonic - REPUBLISH_S
        return [entry for entry in entries if self._published.get(entry.fact_id, since) <= since]

    def _remember(self, entries: list[OutboxEntry], monotonic: float) -> None:
        self._published = {
            fact_id: at for fact_id, at in self._published.items() if at > monotonic - REPUBLISH_S
        } | {entry.fact_id: monotonic for entry in entries}
