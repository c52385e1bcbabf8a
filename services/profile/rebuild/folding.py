"""One partition folded from its first record on, in memory. Pure.

Invariant: after `feed` of offsets 0 to n in order, each identity is exactly what a live worker
would have written after n, decided nothing and published nothing. Facts that a live worker must
still publish (from `published` on, nobody is known to have) stay in their outboxes.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Final

from services.profile.batch import read_delivery
from services.profile.identity import Delivery, Identity, OutboxEntry, apply
from services.profile.item_counts import COUNTERS, counts
from services.profile.items.interest import NO_KINDS, Gathered, add, first_mark, wanted_by
from services.profile.moments.assessing import ask_in_time, may_change
from services.profile.moments.due import next_due
from services.profile.moments.noting import note, note_timers
from services.profile.moments.rules import Rules
from services.profile.window import Verdict
from shared import events as facts
from shared.topics import EVENTS

if TYPE_CHECKING:
    from shared.bus import Record

REFUSED_BYTES: Final = EVENTS.max_message_bytes - 4_096
"""A fact that large is more than the log takes, with its key and headers, or nearly so."""

ITEMS_AT_ONCE: Final = 500
_UNCOUNTED: Final = frozenset([Verdict.DUPLICATE, Verdict.EARLY])


class PartitionFold:
    """The identities of one partition, its item counts of the last `hours`, its timers, and who is
    interested in which item.

    first_unpublished: the first offset of which a live worker must publish what follows. rules,
    now (epoch ms): what the newest facts begin is noted for whom it is not too late; of older
    facts that costs nothing.
    """

    def __init__(
        self, published: int, hours: int, rules: Rules | None = None, now: int = 0
    ) -> None:
        self.identities: dict[str, Identity] = {}
        self.facts = 0
        self.malformed = 0
        self.first_unpublished: int | None = None
        self._published = published
        self._hours = hours
        self._buckets: dict[int, dict[str, list[int]]] = {}
        self._newest_hour = 0
        self._rules = rules
        self._now = now
        self._wanted = NO_KINDS if rules is None else wanted_by(rules.book)
        self._interest: Gathered = {}
        self._to_assess: set[str] = set()
        self._imported_at: dict[str, int] = {}
        """Identity → receipt of the newest fact of it that was imported, epoch ms."""
        self._noted_from = now - (0 if rules is None else _longest(rules))

    def feed(self, records: "Iterable[Record]") -> None:
        """Folds the next records, in log order."""
        identities = self.identities
        for record in records:
            read = read_delivery(record)
            if read is None:
                self.malformed += 1
                continue
            key, delivery = read
            self.facts += 1
            identity = identities.get(key)
            if identity is None:
                identity = identities[key] = Identity(key)
            fact = delivery.fact
            verdict = apply(identity, delivery)
            if verdict is Verdict.NEW and identity.is_customer:
                self._begin(identity, delivery)
            if verdict not in _UNCOUNTED:
                self._count(fact)
            if identity.outbox or type(fact) is facts.MessageDecided:
                self._unpublished(identity, delivery.offset)

    def _begin(self, identity: Identity, delivery: Delivery) -> None:
        """What a new fact of a known customer begins: moments, and interest in an item."""
        if self._rules is None:
            return
        if facts.is_imported(delivery.fact):
            known = self._imported_at.get(identity.key, 0)
            self._imported_at[identity.key] = max(known, delivery.fact.received_at)
        if delivery.fact.occurred_at >= self._noted_from:
            note(identity, delivery.fact, self._rules.book, self._rules.around, self._now)
        if may_change((delivery,), self._rules.book):
            self._to_assess.add(identity.key)
        if self._wanted:
            add(self._interest, identity.key, delivery, self._wanted)

    def _count(self, fact: facts.AnyFact) -> None:
        for hour, item, counter in counts(fact):
            bucket = self._buckets.get(hour)
            if bucket is None:
                if hour <= self._newest_hour - self._hours:
                    continue
                bucket = self._open_bucket(hour)
            row = bucket.get(item)
            if row is None:
                row = bucket[item] = [0] * COUNTERS
            row[counter] += 1

    def _open_bucket(self, hour: int) -> dict[str, list[int]]:
        bucket = self._buckets[hour] = {}
        if hour > self._newest_hour:
            self._newest_hour = hour
            for old in [known for known in self._buckets if known <= hour - self._hours]:
                del self._buckets[old]
        return bucket

    def _unpublished(self, identity: Identity, offset: int) -> None:
        if offset < self._published:
            identity.outbox = standing(identity.outbox)
        elif self.first_unpublished is None:
            self.first_unpublished = offset

    def note_timers(self) -> None:
        """Once all is folded: what named timers and the rules of segments wait for."""
        if self._rules is None:
            return
        book, around = self._rules
        for identity in self.identities.values():
            if identity.is_customer:
                imported_at = self._imported_at.get(identity.key, 0)
                note_timers(identity, book, around, self._now, imported_at)
            if identity.key in self._to_assess:
                ask_in_time(identity, book, self._now)

    def timers(self) -> dict[str, int]:
        """Identity → when its timer is due, for the index."""
        dues = {key: next_due(identity) for key, identity in self.identities.items()}
        return {key: due for key, due in dues.items() if due is not None}

    def interest(self) -> Iterator[Gathered]:
        """For the index of interested customers, in parts; without what counts no more."""
        least = first_mark(self._now)
        for partition, items in self._interest.items():
            entries = iter(items.items())
            while some := dict(islice(entries, ITEMS_AT_ONCE)):
                kept = {
                    item: {who: mark for who, mark in marks.items() if mark >= least}
                    for item, marks in some.items()
                }
                yield {partition: {item: marks for item, marks in kept.items() if marks}}

    def buckets(self) -> dict[int, dict[str, list[int]]]:
        """Hour → item → counts."""
        return self._buckets


def _longest(rules: Rules) -> int:
    """How long after a fact what it begins may be said, ms."""
    scenarios = [each for found in rules.book.by_fact.values() for each in found]
    return max([each.after_ms + each.life_ms for each in scenarios], default=0)


def standing(entries: Iterable[OutboxEntry]) -> list[OutboxEntry]:
    """What a live worker keeps although its cause is committed: a fact that the log refuses for
    its size, and all behind it for the same customer. Publishing one of them twice does no harm."""
    kept: list[OutboxEntry] = []
    behind: set[str] = set()
    for entry in entries:
        if len(entry.value) >= REFUSED_BYTES or entry.key in behind:
            behind.add(entry.key)
            kept.append(entry)
    return kept
