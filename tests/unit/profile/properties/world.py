"""A log, a store and processes that crash, stall, lose and repeat: the profile loop, without I/O.

It goes through the steps of `worker` on the real pure parts. Between any two steps a process may
die, another may take over, a publication may arrive in part, and the store may forget all that
was written since offsets were committed last.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from zlib import crc32

import msgspec

from services.profile.batch import Effects, fold_identity
from services.profile.identity import Delivery, Identity, OutboxEntry
from services.profile.moments.due import next_due
from services.profile.moments.firing import fire
from services.profile.moments.stating import state
from services.profile.state import Profile
from services.profile.window import Window
from shared import events as facts
from shared.triggers import expires_at
from tests.unit.profile.moments.books import RULES
from tests.unit.profile.properties.histories import Written, keys_of

PARTITIONS = 2


class Crash(Exception):
    """The process died at this point."""


def copy_of(identity: Identity) -> Identity:
    """What a store gives back: nothing that is changed afterwards leaks in."""
    return Identity(
        identity.key,
        identity.counter,
        msgspec.msgpack.decode(msgspec.msgpack.encode(identity.profile), type=Profile),
        dict(identity.positions),
        Window.unpack(identity.window.pack()),
        list(identity.outbox),
        identity.accepted_at,
        list(identity.waiting),
    )


@dataclass
class Store:
    """Identities under compare-and-set, and the index of timers."""

    rows: dict[str, Identity] = field(default_factory=dict)
    timers: dict[str, int] = field(default_factory=dict)

    def load(self, key: str) -> Identity:
        row = self.rows.get(key)
        return Identity(key) if row is None else copy_of(row)

    def save(self, identity: Identity) -> bool:
        row = self.rows.get(identity.key)
        if (row.counter if row else 0) != identity.counter:
            return False
        identity.counter += 1
        self.rows[identity.key] = copy_of(identity)
        return True


@dataclass
class Process:
    """A member of the group: where it reads, and what it holds in memory."""

    reads: list[int]
    cache: dict[str, Identity] = field(default_factory=dict)


class World:
    """All of it. `chance` decides when what goes wrong; `calm` ends that."""

    def __init__(self, chance: Random) -> None:
        self.log: list[list[Written]] = [[] for _ in range(PARTITIONS)]
        self.triggers: list[tuple[str, bytes]] = []
        self.store = Store()
        self.chance = chance
        self.calm = False
        self._committed = [0] * PARTITIONS
        self._durable = Store()
        self._once_published: list[list[OutboxEntry]] = []
        self._processes = [Process([0] * PARTITIONS) for _ in range(2)]

    def send(self, fact: facts.AnyFact) -> None:
        """As ingest writes it; of a login either copy may come first."""
        keys = keys_of(fact)
        self.chance.shuffle(keys)
        for key in keys:
            self._append(key, fact)

    def _append(self, key: str, fact: facts.AnyFact) -> None:
        self.log[crc32(key.encode()) % PARTITIONS].append(Written(key, fact))

    def live_through(self, history: Iterable[facts.AnyFact], now: int) -> None:
        """The history is sent and folded while everything goes wrong; then all comes to rest."""
        for fact in history:
            self.send(fact)
            for _ in range(self.chance.randrange(3)):
                self._something_happens(now)
        for _ in range(self.chance.randrange(30)):
            self._something_happens(now)
        self.rest(now)

    def rest(self, now: int) -> None:
        """Nothing fails any more: the log is folded to its end and due timers fire."""
        self.calm = True
        process = self._processes[0] = Process(list(self._committed))
        while True:
            length = sum(map(len, self.log))
            for partition in range(PARTITIONS):
                while process.reads[partition] < len(self.log[partition]):
                    self._batch(process, partition, now)
            due = [key for key, at in self.store.timers.items() if at <= now]
            for key in due:
                self._tick(process, key, now)
            if length == sum(map(len, self.log)) and not due:
                return

    def _something_happens(self, now: int) -> None:
        process = self.chance.choice(self._processes)
        what = self.chance.randrange(12)
        try:
            if what < 7:
                self._batch(process, self.chance.randrange(PARTITIONS), now)
            elif what < 9 and self.store.timers:
                self._tick(process, self.chance.choice(sorted(self.store.timers)), now)
            elif what == 9 and self._once_published:
                # A process that was stalled wakes, and sends what it was about to send.
                self._write(self.chance.choice(self._once_published))
            elif what == 10:
                self._forget()
            else:
                self._start_anew(process)
        except Crash:
            self._start_anew(process)

    def _start_anew(self, process: Process) -> None:
        process.cache.clear()
        process.reads[:] = self._committed

    def _forget(self) -> None:
        """The store loses what was not durable; everybody notices and goes back."""
        self.store = Store(dict(self._durable.rows), dict(self._durable.timers))
        for process in self._processes:
            self._start_anew(process)

    def _may_crash(self) -> None:
        if not self.calm and self.chance.random() < 0.15:
            raise Crash

    def _batch(self, process: Process, partition: int, now: int) -> None:
        start = process.reads[partition]
        end = min(start + self.chance.randrange(1, 8), len(self.log[partition]))
        deliveries: dict[str, list[Delivery]] = {}
        for offset, (key, fact) in enumerate(self.log[partition][start:end], start=start):
            deliveries.setdefault(key, []).append(Delivery(fact, partition, offset))
        identities = {
            key: process.cache.pop(key, None) or self.store.load(key) for key in deliveries
        }
        effects = {
            key: fold_identity(identities[key], deliveries[key], RULES) for key in deliveries
        }
        self._may_crash()
        for key, sequence in deliveries.items():
            while effects[key].changed and not self.store.save(identities[key]):
                identities[key] = self.store.load(key)
                effects[key] = fold_identity(identities[key], sequence, RULES)
            self._may_crash()
        self._schedule(effects)
        self._may_crash()
        self._publish(identities, effects, now)
        process.cache |= identities
        process.reads[partition] = end
        if self.chance.random() < 0.5:
            self._commit(process, partition)

    def _schedule(self, effects: dict[str, Effects]) -> None:
        for key, effect in effects.items():
            if effect.due is not None:
                self.store.timers[key] = effect.due

    def _publish(
        self, identities: dict[str, Identity], effects: dict[str, Effects], now: int
    ) -> None:
        self._write([entry for effect in effects.values() for entry in effect.forwarded])
        for effect in effects.values():
            for message in effect.messages:
                expires = expires_at(message.trigger)
                if expires is None or expires > now:
                    self.triggers.append((message.trigger_id, message.trigger))
        self._may_crash()
        for key in [key for key, effect in effects.items() if effect.forwarded]:
            identities[key].outbox = []
            if not self.store.save(identities[key]):
                del identities[key]

    def _commit(self, process: Process, partition: int) -> None:
        # Offsets are committed only for what is durable by then.
        self._durable = Store(dict(self.store.rows), dict(self.store.timers))
        self._committed[partition] = process.reads[partition]

    def _write(self, entries: list[OutboxEntry]) -> None:
        """Publishes; where that fails, any part of it may have arrived."""
        if not entries:
            return
        self._once_published.append(entries)
        fails = not self.calm and self.chance.random() < 0.4
        for entry in entries:
            if not fails or self.chance.random() < 0.5:
                self._append(entry.key, facts.decode(entry.value))
        if fails:
            raise Crash

    def _tick(self, process: Process, key: str, now: int) -> None:
        if self.store.timers[key] > now:
            return
        identity = self.store.load(key)
        due = next_due(identity)
        if identity.outbox and due is not None:
            self._write(list(identity.outbox))
            return
        if due is None or due > now:
            self._move(key, due)
            return
        fired = fire(identity, RULES, now)
        stated = fired.stated + state(identity, fired.decisions.made, {}, *RULES, now)
        process.cache.pop(key, None)
        if not self.store.save(identity):
            return
        self._may_crash()
        self._write(stated)
        if not stated:
            self._move(key, next_due(identity))

    def _move(self, key: str, due: int | None) -> None:
        if due is None:
            del self.store.timers[key]
        else:
            self.store.timers[key] = due
