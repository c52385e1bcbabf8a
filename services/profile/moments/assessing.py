"""Segments and the stage of the journey: rules over the state, whose changes are facts. Pure.

Asked of each customer whom a batch of facts touched, and again where time alone can turn a rule.
What changed is stated in the outbox and takes effect when that fact is folded, like any decision.
"""

from collections.abc import Iterable, Iterator
from math import ceil
from typing import Any, Final, TypeAlias

from services.profile.identity import Delivery, Identity, OutboxEntry, stable_id
from services.profile.moments.around import Around
from services.profile.moments.book_index import index_of
from services.profile.moments.context import MomentContext
from services.profile.moments.waiting import SEGMENTS, Waiting
from services.profile.scenarios.book import Book
from services.profile.window import digest
from shared import events as facts

SOURCE: Final = "attune"
SPREAD_MS: Final = 10 * 60_000
NEVER: Final = 1 << 62
Changed: TypeAlias = facts.SegmentEntered | facts.SegmentLeft | facts.StageChanged


def assess(
    identity: Identity, book: Book, around: Around, now: int, position: str
) -> list[OutboxEntry]:
    """States what changed at `now` (epoch ms) in the outbox, which must be empty, and notes when
    to ask again.

    position: partition/offset of the newest fact that the state has, so that the facts have the
    same ids whoever states them.
    """
    context = MomentContext(identity.profile, around, now)
    waiting = [each for each in identity.waiting if each.scenario != SEGMENTS]
    again = _again(identity, book, context)
    if again is not None:
        waiting.append(Waiting(again, SEGMENTS, SEGMENTS, now))
    identity.waiting = waiting
    stated = [
        OutboxEntry(fact.event_id, identity.key, facts.encode(fact), position)
        for fact in _changes(identity, book, context, position)
    ]
    identity.outbox += stated
    return stated


def ask_to_assess(identity: Identity, now: int) -> None:
    """Has it done by the timer loop, once the log is read to its end."""
    for place, standing in enumerate(identity.waiting):
        if standing.scenario == SEGMENTS:
            if standing.due > now:
                identity.waiting[place] = Waiting(now, SEGMENTS, SEGMENTS, now)
            return
    identity.waiting.append(Waiting(now, SEGMENTS, SEGMENTS, now))


def newest_position(identity: Identity) -> str:
    """partition/offset of the newest fact that the state has."""
    partition, offset = max(identity.positions.items(), default=(0, -1))
    return f"{partition}/{offset}"


def may_change(deliveries: Iterable[Delivery], book: Book) -> bool:
    """Whether any of these facts may turn a rule: what assessing itself states mostly cannot, and
    imported facts decide nothing: what they make of a customer waits for the next live one."""
    if not (book.segments or book.stages):
        return False
    settled = index_of(book).settled
    return any(
        type(delivery.fact) not in settled and not facts.is_imported(delivery.fact)
        for delivery in deliveries
    )


def ask_in_time(identity: Identity, book: Book, now: int) -> None:
    """Has all customers asked within SPREAD_MS after `now` (epoch ms): after a rebuild nobody knows
    who was asked last, and messages must not wait for all of them."""
    if book.segments or book.stages:
        ask_to_assess(identity, now + digest(identity.key) % SPREAD_MS)


def _changes(
    identity: Identity, book: Book, context: MomentContext, position: str
) -> Iterator[Changed]:
    """Who is in what the book no longer has leaves it; where no stage holds the last one stays."""
    contact = identity.profile.contact

    def told(what: str) -> dict[str, Any]:
        return {
            "event_id": stable_id("segment", identity.key, what, position),
            "occurred_at": context.now,
            "received_at": context.now,
            "customer": identity.key[2:],
            "source": SOURCE,
            "cause": position,
        }

    inside = [segment.name for segment in book.segments if segment.when.holds(context)]
    for name in inside:
        if name not in contact.segments:
            yield facts.SegmentEntered(**told(f"segment {name}"), segment=name)
    for name in sorted(contact.segments.keys() - set(inside)):
        yield facts.SegmentLeft(**told(f"segment {name}"), segment=name)
    stage = next((each.name for each in book.stages if each.when.holds(context)), contact.stage)
    if stage != contact.stage:
        previous = contact.stage or None
        yield facts.StageChanged(**told("stage"), stage=stage, previous=previous)


def _again(identity: Identity, book: Book, context: MomentContext) -> int | None:
    """When time alone may next turn a rule: so long after the last event, and so long after what
    the rule asks the age of, which a later event of another kind does not put off."""
    index, now = index_of(book), context.now
    last = identity.profile.component.last_at
    first = next((last + after for after in index.silences if last + after >= now), NEVER)
    for age in index.ages:
        known = age.variable.read(context)
        if isinstance(known, float):
            passed = known * age.unit_ms
            for after in age.turns:
                if after >= passed:
                    first = min(first, now + ceil(after - passed))
                    break
    # A moment later, when it is over and not just so long.
    return None if first == NEVER else first + 1
