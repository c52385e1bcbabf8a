"""Fires what is due: reads the index, asks the state again, states the verdicts as facts.

A decision stays in its customer's outbox until its fact has been folded, and the index points
there meanwhile, so a crash anywhere in between only means that the same facts, with the same ids,
are stated or published again.
"""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec import Struct, field

from services.profile import metrics
from services.profile.cache import IdentityCache
from services.profile.identity import Identity, OutboxEntry
from services.profile.moments.due import next_due
from services.profile.moments.firing import Fired, fire
from services.profile.moments.rules import Rules
from services.profile.moments.stating import state
from services.profile.offering import Offering
from services.profile.publisher import Publisher
from services.profile.store import ProfileStore
from services.profile.store_values import DueTimer
from shared.clock import Now

TICK_S: Final = 0.1
REPUBLISH_S: Final = 5.0
LIMIT: Final = 256
"""Identities taken up in one tick: facts wait for no more than that."""
LEAST: Final = 16
"""Of one partition, however many there are."""


class _Firing(NamedTuple):
    timer: DueTimer
    identity: Identity
    fired: Fired


class _Index(Struct):
    """What the index is to say after the states were written."""

    stale: list[DueTimer] = field(default_factory=list)
    later: dict[DueTimer, int] = field(default_factory=dict)

    def move(self, timer: DueTimer, due: int | None) -> None:
        """To when there is something to do for this identity, if ever."""
        if due is None:
            self.stale.append(timer)
        else:
            self.later[timer] = due

    def without(self, keys: set[str]) -> "_Index":
        return _Index(
            [timer for timer in self.stale if timer.key not in keys],
            {timer: due for timer, due in self.later.items() if timer.key not in keys},
        )


class TimerLoop:
    """The timers of the partitions that this process owns. Called between batches."""

    def __init__(
        self,
        store: ProfileStore,
        publisher: Publisher,
        cache: IdentityCache,
        clock: Now,
        rules: Callable[[], Rules],
        offering: Offering | None = None,
    ) -> None:
        self._cache = cache
        self._store = store
        self._publisher = publisher
        self._clock = clock
        self._rules = rules
        self._offering = offering or Offering()
        self._next_tick = 0.0
        self._published: dict[str, float] = {}

    def notice(self, soonest: int | None) -> None:
        """A fold moved a timer to then (business epoch ms): what is due now is not kept waiting."""
        if soonest is not None and soonest <= self._clock.now_ms():
            self._next_tick = 0.0

    async def tick(self, partitions: Iterable[int]) -> bool:
        """Fires what is due, every 100 ms of real time; returns whether there is more of it, which
        the next tick then takes up at once."""
        now = time.monotonic()
        chosen = sorted(partitions)
        if now < self._next_tick or not chosen:
            return False
        self._next_tick = now + TICK_S
        limit = max(LEAST, LIMIT // len(chosen))
        due = await self._store.due(chosen, self._clock.now_ms(), limit)
        if due:
            await self._fire(due, now)
        if len(due) < limit:
            return False
        # Each of them has moved on in the index, so the next look finds others.
        self._next_tick = 0.0
        return True

    async def _fire(self, due: list[DueTimer], monotonic: float) -> None:
        """Decides and states; whatever is looked at has a later entry afterwards, or none."""
        now = self._clock.now_ms()
        again = now + int(REPUBLISH_S * 1000 * self._clock.speed)
        rules = self._rules()
        identities = await self._load([timer.key for timer in due])
        index = _Index()
        firing: list[_Firing] = []
        entries: list[OutboxEntry] = []
        for timer in due:
            identity = identities[timer.key]
            at = next_due(identity)
            if at is None or at > now:
                index.move(timer, at)
            elif not identity.outbox:
                firing.append(_Firing(timer, identity, _timed(identity, rules, now)))
                metrics.TIMERS_LATE.observe((now - at) / 1000)
            else:
                entries += self._not_just_published(identity.outbox, monotonic)
                index.later[timer] = again
        entries += await self._state(firing, rules, now)
        refused = await self._write(firing)
        for timer, identity, _ in firing:
            # What was stated is looked after until its fold. Should this process die before it is
            # published, the entry still stands where it was, and another one finds it.
            index.move(timer, again if identity.outbox else next_due(identity))
        # Who was refused has just been written by a fold; its entry is looked at again next tick.
        self._cache.put(each for key, each in identities.items() if key not in refused)
        entries = [entry for entry in entries if entry.key not in refused]
        if entries:
            await self._publisher.publish(entries)
            self._remember(entries, monotonic)
        await self._settle(index.without(refused), identities)

    async def _load(self, keys: Sequence[str]) -> dict[str, Identity]:
        """What the worker holds in memory need not be read; a write tells where that is outdated.
        Taken out of there, for whoever fails midway must not leave anything half decided."""
        held = self._cache.take(keys)
        missing = [key for key in keys if key not in held]
        return held | (await self._store.load(missing) if missing else {})

    async def _state(self, firing: Sequence[_Firing], rules: Rules, now: int) -> list[OutboxEntry]:
        """Puts what was decided into the outboxes; payloads are asked for all together."""
        entries: list[OutboxEntry] = []
        payloads = await self._offering.payloads(
            [(identity, made) for _, identity, fired in firing for made in fired.decisions.made]
        )
        for _, identity, fired in firing:
            entries += fired.stated
            for (scenario, reason), count in fired.decisions.dropped.items():
                metrics.DROPPED.labels(scenario, reason).inc(count)
            if fired.decisions.made:
                made = fired.decisions.made
                entries += state(identity, made, payloads, rules.book, rules.around, now)
        return entries

    async def _write(self, firing: Sequence[_Firing]) -> set[str]:
        """Writes whom the decisions changed; returns who was refused."""
        changed = [identity for _, identity, fired in firing if fired.changed or identity.outbox]
        return {identity.key for identity in await self._store.save_beside(changed)}

    async def _settle(self, index: _Index, seen: Mapping[str, Identity]) -> None:
        """Moves and removes entries; then puts back what another process has written a reason for
        in between.

        Whoever folds writes the state first and then the index: either that entry came after the
        removal, or the state is seen here. Nobody wrote where the counter still stands; where it
        does not, what is held in memory is outdated.
        """
        settled = (*index.stale, *index.later)
        if not settled:
            return
        await self._store.settle(index.stale, index.later)
        counters = await self._store.counters([timer.key for timer in settled])
        moved = [timer for timer in settled if counters[timer.key] != seen[timer.key].counter]
        if not moved:
            return
        outdated = [timer.key for timer in moved]
        self._cache.take(outdated)
        identities = await self._store.load(outdated)
        missed: list[DueTimer] = []
        for timer in moved:
            identity = identities[timer.key]
            due, told = next_due(identity), index.later.get(timer)
            if due is None or (identity.outbox and told is not None):
                continue
            if due != told:
                missed.append(timer._replace(due=due))
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


def _timed(identity: Identity, rules: Rules, now: int) -> Fired:
    with metrics.DECIDE.time():
        return fire(identity, rules, now)
