"""One partition of the log once more, as if the draft had been switched on at the window's start.

Pure. Before the window all facts fold as they are, the past's own verdicts included, so that the
state is right. Inside of it the verdicts, arms and segments of the log are left out: those that the
draft comes to fold in their place. Time is when the log took each fact; what is due is decided at
its exact millisecond, before the next fact folds.
"""

from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import replace

from services.profile.batch import read_delivery
from services.profile.dry_run.counting import Counting, Tally
from services.profile.dry_run.interested import Interested
from services.profile.dry_run.report import Window
from services.profile.identity import CUSTOMER_PREFIX, Delivery, Identity, OutboxEntry, apply
from services.profile.items.interest import kinds_of
from services.profile.moments.around import Around, ItemMoved
from services.profile.moments.assessing import ask_to_assess, assess, may_change
from services.profile.moments.due import next_due
from services.profile.moments.firing import fire
from services.profile.moments.noting import note, note_change, note_timers
from services.profile.moments.rules import Rules
from services.profile.moments.stating import state
from services.profile.scenarios.book import Book
from services.profile.window import Verdict, digest
from shared import events as facts
from shared.catalogue import ItemChanged

if TYPE_CHECKING:
    from shared.bus import Record

Heard: TypeAlias = Callable[[facts.MessageDecided], object]
OWN: Final = -1
"""The partition under which what the replay states is folded: offsets of its own."""
FOREVER: Final = 1 << 62
ROUNDS: Final = 4
_CUSTOMER: Final = CUSTOMER_PREFIX.encode()
_LEFT_OUT: Final = frozenset(
    [
        facts.MessageDecided,
        facts.ArmAssigned,
        facts.SegmentEntered,
        facts.SegmentLeft,
        facts.StageChanged,
        facts.TimerFired,
    ]
)


class Replayed(Struct, frozen=True, kw_only=True):
    """What a partition came to. events: its records; customers: known ones; reactions_left_out:
    reports on messages that only the past sent; waiting, held: moments that were still open at the
    end of the window."""

    partition: int
    events: int
    malformed: int
    customers: int
    after: Tally
    before: Tally
    reactions_left_out: int
    waiting: int
    held: int


def nobody(fact: facts.MessageDecided) -> None:
    """Where nobody wants to hear each verdict."""


class PartitionPlay:
    """Feed it the partition's records from the first on, then `finish`.

    heard: is told each verdict, in order; assess_within_ms: segments and stage are asked so long
    after a fact at most, for what it touched in between together, as a live worker does by batches.
    """

    def __init__(
        self,
        partition: int,
        book: Book,
        around: Around,
        window: Window,
        moves: Sequence[ItemMoved] = (),
        heard: Heard = nobody,
        assess_within_ms: int = 0,
    ) -> None:
        self._partition = partition
        self._book = book
        self._items: dict[str, ItemChanged] = dict(around.items)
        self._around = replace(around, items=self._items)
        self._window = window
        self._moves = moves if book.on_items else ()
        self._heard = heard
        self._assess_within = assess_within_ms
        self._moved = 0
        zone = ZoneInfo(around.zone)
        self._after, self._before = Counting(zone), Counting(zone)
        self._identities: dict[str, Identity] = {}
        self._interested = Interested()
        self._heap: list[tuple[int, str]] = []
        self._standing: dict[str, int] = {}
        longest = max((scenario.after_ms for scenario in book.scenarios), default=0)
        self._noting_from = window.from_ms - longest
        self._clock = 0
        self._now = window.from_ms
        self._begun = False
        self._stated = 0
        self._past: set[int] = set()
        self._spoken: set[int] = set()
        self._events = self._malformed = self._left_out = 0

    def feed(self, records: "Iterable[Record]") -> None:
        """The next records, in log order."""
        for record in records:
            self._events += 1
            # Visitors get no messages, and what they did comes to their owner as a fact.
            if not (record.key or b"").startswith(_CUSTOMER):
                continue
            read = read_delivery(record)
            if read is None:
                self._malformed += 1
                continue
            key, delivery = read
            if delivery.fact.received_at > self._clock:
                self._advance(delivery.fact.received_at)
            identity = self._identities.get(key)
            if identity is None:
                identity = self._identities[key] = Identity(key)
            if self._begun:
                self._live(identity, delivery)
            else:
                self._past_fact(identity, delivery)

    def finish(self) -> Replayed:
        """Decides what is due up to the window's end, and counts."""
        self._advance(self._window.until_ms)
        identities = self._identities.values()
        return Replayed(
            partition=self._partition,
            events=self._events,
            malformed=self._malformed,
            customers=len(identities),
            after=self._after.tally(),
            before=self._before.tally(),
            reactions_left_out=self._left_out,
            waiting=sum(len(identity.waiting) for identity in identities),
            held=sum(len(identity.profile.contact.holds) for identity in identities),
        )

    def _past_fact(self, identity: Identity, delivery: Delivery) -> None:
        verdict = apply(identity, delivery)
        if verdict is Verdict.NEW:
            self._interested_in(identity, delivery.fact)
            # What is due in the window may have begun before it.
            if self._clock >= self._noting_from:
                note(identity, delivery.fact, self._book, self._around)

    def _live(self, identity: Identity, delivery: Delivery) -> None:
        fact = delivery.fact
        if type(fact) in _LEFT_OUT:
            self._leave_out(identity, fact)
            return
        if isinstance(fact, facts.MessageFact) and self._only_the_past_sent(fact.message):
            self._left_out += 1
            return
        if apply(identity, delivery) is not Verdict.NEW:
            return
        self._interested_in(identity, fact)
        note(identity, fact, self._book, self._around)
        if may_change([delivery], self._book):
            self._assess(identity, f"{delivery.partition}/{delivery.offset}")
        self._schedule(identity)

    def _interested_in(self, identity: Identity, fact: facts.AnyFact) -> None:
        if self._book.on_items:
            self._interested.note(identity.key, fact)

    def _leave_out(self, identity: Identity, fact: facts.AnyFact) -> None:
        if isinstance(fact, facts.MessageDecided):
            mark = digest(fact.event_id)
            if mark not in self._past:
                self._past |= {mark, digest(fact.trigger_id)}
                self._before.decided(identity.key, fact, identity.profile.contact)

    def _only_the_past_sent(self, message: str) -> bool:
        mark = digest(message)
        return mark in self._past and mark not in self._spoken

    def _advance(self, until: int) -> None:
        """Everything that was due by then, and changes of items, in order of time."""
        self._clock = until
        if until < self._window.from_ms:
            return
        if not self._begun:
            self._begin()
        last = min(until, self._window.until_ms)
        while True:
            due = self._heap[0][0] if self._heap else FOREVER
            moved = self._moves[self._moved].item.changed_at if self._more_moves() else FOREVER
            if min(due, moved) > last:
                break
            # What was due before it could be known of is decided when it is known.
            self._now = max(self._now, min(due, moved))
            if moved <= due:
                self._move(self._moves[self._moved])
            else:
                self._look(*heappop(self._heap))
        self._now = max(self._now, last)

    def _more_moves(self) -> bool:
        return self._moved < len(self._moves)

    def _begin(self) -> None:
        """The draft is switched on: what is due later waits, and timers are set for everybody."""
        self._begun = True
        start = self._window.from_ms
        for identity in self._identities.values():
            identity.outbox.clear()
            identity.waiting = [one for one in identity.waiting if one.due >= start]
            note_timers(identity, self._book, self._around, start)
            self._schedule(identity)

    def _move(self, change: ItemMoved) -> None:
        self._moved += 1
        item = change.item.item
        self._items[item] = change.item
        for key, viewed_at in self._interested.in_item(item):
            identity = self._identities[key]
            kinds = kinds_of(identity.profile.component, item, viewed_at)
            if kinds and note_change(identity, change, kinds, self._book, self._around):
                self._schedule(identity)

    def _schedule(self, identity: Identity, least: int = 0) -> None:
        due = next_due(identity)
        if due is None:
            return
        due = max(due, least)
        # An entry that comes too early is looked at and moved: who is busy costs nothing here.
        if due < self._standing.get(identity.key, FOREVER):
            self._standing[identity.key] = due
            heappush(self._heap, (due, identity.key))

    def _look(self, at: int, key: str) -> None:
        if self._standing.get(key) != at:
            return
        del self._standing[key]
        identity, now = self._identities[key], self._now
        # Arms and segments come first, and what they begin may be due at once.
        for _ in range(ROUNDS):
            due = next_due(identity)
            if due is None or due > now:
                break
            self._fire(identity, now)
        self._schedule(identity, now + 1)

    def _fire(self, identity: Identity, now: int) -> None:
        fired = fire(identity, Rules(self._book, self._around), now)
        for (scenario, reason), times in fired.decisions.dropped.items():
            self._after.passed_over(scenario, reason, times)
        made = fired.decisions.made
        stated = state(identity, made, {}, self._book, self._around, now) if made else []
        for entry in (*fired.stated, *stated):
            self._fold(identity, entry)

    def _assess(self, identity: Identity, position: str) -> None:
        if self._assess_within:
            ask_to_assess(identity, self._clock + self._assess_within)
            return
        for entry in assess(identity, self._book, self._around, self._clock, position):
            self._fold(identity, entry)

    def _fold(self, identity: Identity, entry: OutboxEntry) -> None:
        """What the draft stated, as if it came back from the log."""
        fact = facts.decode(entry.value)
        self._stated += 1
        if apply(identity, Delivery(fact, OWN, self._stated)) is not Verdict.NEW:
            return
        if isinstance(fact, facts.MessageDecided):
            self._after.decided(identity.key, fact, identity.profile.contact)
            self._heard(fact)
            if fact.verdict == "send":
                self._spoken.add(digest(fact.trigger_id))
        note(identity, fact, self._book, self._around)
