"""Changes of items become moments of who is interested in them. Called between batches.

Of each partition, in the order of `catalogue`: finds a change's customers in the index, asks their
states whether they are interested still, and has `noting` put what may be said among what waits
for them. Then their timers, and once all that is durable the partition's position.

Invariant: a position never passes a change of which somebody was not noted. So after a crash the
same changes are noted again: their causes have the same names, and what has been noted, decided or
said of them is known by these. A change of interest to many is noted in slices, so that facts do
not wait for it. The first start of a deployment begins at the end: a catalogue is no change.
"""

import logging
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Protocol

from services.profile import metrics
from services.profile.cache import IdentityCache
from services.profile.identity import Identity
from services.profile.items.catalogue import Items, Move
from services.profile.items.interest import Kinds, kinds_of
from services.profile.items.interest_store import InterestStore
from services.profile.store import ProfileStore
from services.profile.store_keeping import Keeping
from services.profile.store_values import DueTimer
from shared.clock import Now
from shared.events import customer_key

BUDGET_S: Final = 0.025
"""How long a slice of work between two batches takes, but for the last step of it."""
CUSTOMERS_AT_ONCE: Final = 100
MOVES_AT_ONCE: Final = 50
KEEP_S: Final = 1.0

log = logging.getLogger(__name__)


class Moments(Protocol):
    """What the scenarios make of a change."""

    def wanted(self) -> Kinds:
        """The kinds of interest that scenarios name now."""

    def note(self, identity: Identity, move: Move, kinds: Kinds) -> bool:
        """Puts what follows for this customer among what waits, unless it stands there or was
        decided already; whether something was put."""

    def next_due(self, identity: Identity) -> int | None:
        """When the customer's timer is to fire."""


class _Affected(NamedTuple):
    move: Move
    customer: str
    mark: int


@dataclass(slots=True)
class _Partition:
    """position: everything before it is noted; taken: the same or in `left`; kept: as in Redis;
    noted: positions that wait for durability, each with the monotonic time of the writes."""

    position: int
    taken: int
    kept: int
    left: deque[_Affected] = field(default_factory=deque)
    noted: deque[tuple[float, int]] = field(default_factory=deque)


class Moving:
    """The changes still to be handled by the partitions that this process owns."""

    def __init__(
        self,
        items: Items,
        index: InterestStore,
        store: ProfileStore,
        cache: IdentityCache,
        keeping: Keeping,
        moments: Moments,
        clock: Now,
    ) -> None:
        self._items = items
        self._index = index
        self._store = store
        self._cache = cache
        self._keeping = keeping
        self._moments = moments
        self._clock = clock
        self._partitions: dict[int, _Partition] = {}
        self._incarnation = ""
        self._next_keep = 0.0

    def forget(self) -> None:
        """Reads the positions anew: after a failure, and where partitions come or go."""
        self._partitions.clear()

    async def tick(self, partitions: Iterable[int]) -> bool:
        """A slice of work for partitions that are read to their end; whether there is more.

        Raises Unavailable; then `forget` is to be called.
        """
        owned = sorted(partitions)
        await self._learn(owned)
        end = time.monotonic() + BUDGET_S
        behind = deque(each for each in owned if self._behind(self._partitions[each]))
        while behind:
            state = self._partitions[behind[0]]
            await self._step(behind[0], state)
            if not self._behind(state):
                behind.popleft()
            if time.monotonic() >= end:
                break
        await self._keep()
        self._tell()
        return bool(behind)

    async def _learn(self, owned: Sequence[int]) -> None:
        if self._items.incarnation != self._incarnation:
            self._incarnation = self._items.incarnation
            self._partitions.clear()
        unknown = [partition for partition in owned if partition not in self._partitions]
        if not unknown:
            return
        found = await self._index.positions(unknown, self._incarnation)
        end = self._items.end
        for partition in unknown:
            kept = found.get(partition, -1)
            position = self._held(kept if partition in found else end)
            self._partitions[partition] = _Partition(position, position, kept)

    def _held(self, position: int) -> int:
        """Where to go on from a position: there, unless the changes from there on are gone."""
        first = self._items.first
        if position < first:
            log.error("changes of items are too old to be handled", extra={"before": first})
            metrics.ITEM_CHANGES_LOST.inc()
        return max(position, first)

    def _behind(self, state: _Partition) -> bool:
        return bool(state.left) or state.taken < self._items.end

    async def _step(self, partition: int, state: _Partition) -> None:
        if not state.left:
            await self._take(partition, state)
        some = [state.left.popleft() for _ in range(min(CUSTOMERS_AT_ONCE, len(state.left)))]
        if some:
            state.left.extendleft(reversed(await self._note(partition, some)))
        state.position = state.left[0].move.offset if state.left else state.taken

    async def _take(self, partition: int, state: _Partition) -> None:
        """The next changes, and whom they may be of interest to."""
        state.taken, end = self._held(state.taken), self._items.end
        moves = self._items.since(state.taken, MOVES_AT_ONCE) if self._moments.wanted() else []
        if moves:
            ids = [move.item.item for move in moves]
            found = await self._index.interested(partition, ids, self._clock.now_ms())
            for move, customers in zip(moves, found, strict=True):
                state.left.extend(_Affected(move, who, mark) for who, mark in customers)
        state.taken = moves[-1].offset + 1 if len(moves) == MOVES_AT_ONCE else end

    async def _note(self, partition: int, some: Sequence[_Affected]) -> list[_Affected]:
        """Notes one slice; returns what somebody else's write came between."""
        keys = list(dict.fromkeys(customer_key(one.customer) for one in some))
        held = self._cache.take(keys)
        identities = held | await self._load([key for key in keys if key not in held])
        touched: dict[str, Identity] = {}
        changed: dict[str, Identity] = {}
        for move, customer, mark in some:
            identity = identities[customer_key(customer)]
            if not identity.counter:
                # The index may know who was erased; nothing is begun for nobody.
                continue
            component = identity.profile.component
            kinds = kinds_of(component, move.item.item, move.item.changed_at, mark)
            if not kinds:
                continue
            # Also who has nothing new: the timer may not have got into its index before a crash.
            touched[identity.key] = identity
            if self._moments.note(identity, move, kinds):
                changed[identity.key] = identity
        refused = {identity.key for identity in await self._store.save(list(changed.values()))}
        self._cache.put(identity for key, identity in held.items() if key not in refused)
        await self._store.schedule(
            DueTimer(partition, key, due)
            for key, identity in touched.items()
            if key not in refused and (due := self._moments.next_due(identity)) is not None
        )
        metrics.ITEM_MOMENTS.inc(len(changed) - len(refused))
        return [one for one in some if customer_key(one.customer) in refused]

    async def _load(self, keys: Sequence[str]) -> dict[str, Identity]:
        return await self._store.load(keys) if keys else {}

    async def _keep(self) -> None:
        """Writes the positions whose notes survive a crash."""
        now = time.monotonic()
        if now < self._next_keep:
            return
        self._next_keep = now + KEEP_S
        for state in self._partitions.values():
            if state.position > (state.noted[-1][1] if state.noted else state.kept):
                state.noted.append((now, state.position))
        if not any(state.noted for state in self._partitions.values()):
            return
        until = await self._keeping.until()
        ready: dict[int, int] = {}
        for partition, state in self._partitions.items():
            while state.noted and state.noted[0][0] <= until:
                ready[partition] = state.noted.popleft()[1]
        if ready:
            await self._index.move(ready, self._incarnation)
            for partition, position in ready.items():
                self._partitions[partition].kept = position

    def _tell(self) -> None:
        states = self._partitions.values()
        waiting = max((self._items.waiting(state.taken) for state in states), default=0)
        metrics.ITEM_CHANGES.set(waiting)
        metrics.ITEM_CUSTOMERS.set(sum(len(state.left) for state in states))
