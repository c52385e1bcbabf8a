"""One partition folded from its first record on, in memory. Pure.

Invariant: after `feed` of offsets 0 to n in order, each identity is exactly what a live worker
would have written after n, decided nothing and published nothing. Facts that a live worker must
still publish (from `published` on, nobody is known to have) stay in their outboxes.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from services.profile.batch import read_delivery
from services.profile.identity import Identity, OutboxEntry, apply
from services.profile.item_counts import COUNTERS, counts
from services.profile.triggers.timers import MOVERS, next_due
from services.profile.window import Verdict
from shared import events as facts
from shared.topics import EVENTS

if TYPE_CHECKING:
    from shared.bus import Record

REFUSED_BYTES: Final = EVENTS.max_message_bytes - 4_096
"""A fact that large is more than the log takes, with its key and headers, or nearly so."""

_MOVERS: Final = frozenset(MOVERS)
_UNCOUNTED: Final = frozenset([Verdict.DUPLICATE, Verdict.EARLY])


class PartitionFold:
    """The identities of one partition, its item counts of the last `hours`, its timers.

    first_unpublished: the first offset of which a live worker must publish what follows.
    """

    def __init__(self, published: int, hours: int) -> None:
        self.identities: dict[str, Identity] = {}
        self.facts = 0
        self.malformed = 0
        self.first_unpublished: int | None = None
        self._published = published
        self._hours = hours
        self._buckets: dict[int, dict[str, list[int]]] = {}
        self._newest_hour = 0
        self._due: dict[str, int] = {}

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
            moves = type(fact) in _MOVERS and not facts.is_imported(fact)
            before = next_due(identity) if moves else None
            verdict = apply(identity, delivery)
            if moves and (after := next_due(identity)) != before and after is not None:
                self._due[key] = after
            if verdict not in _UNCOUNTED:
                self._count(fact)
            if identity.outbox or type(fact) is facts.MessageDecided:
                self._unpublished(identity, delivery.offset)

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

    def timers(self) -> dict[str, int]:
        """Identity → when its timer is due, for the index."""
        return {
            key: due for key, due in self._due.items() if next_due(self.identities[key]) is not None
        }

    def buckets(self) -> dict[int, dict[str, list[int]]]:
        """Hour → item → counts."""
        return self._buckets


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
