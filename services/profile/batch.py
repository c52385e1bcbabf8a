"""One batch of facts, from records to what must be written and published. Pure.

Facts are grouped by identity, each identity's in log order, so an identity is written once.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from services.profile.absorbing import absorbs_many, through_offset
from services.profile.component import unpack
from services.profile.identity import Delivery, Identity, OutboxEntry, apply, is_first_word
from services.profile.item_counts import Increments, gather
from services.profile.moments.assessing import (
    ask_to_assess,
    assess,
    may_change,
    newest_position,
)
from services.profile.moments.due import AT_ONCE, next_due
from services.profile.moments.noting import note
from services.profile.moments.rules import Rules
from services.profile.moments.saying import to_say
from services.profile.moments.waiting import Waiting
from services.profile.window import Verdict
from shared import events as facts
from shared.headers import AT, find_int

if TYPE_CHECKING:
    from shared.bus import Record


@dataclass(slots=True)
class Effects:
    """What one identity's deliveries came to.

    verdicts: one for each delivery; due: the timer to put into the index; messages: verdicts of
    the arbiter to publish while they live; forwarded: facts for other identities to publish;
    overflowed: its event-id window ran over for the first time; crowded: so did its list of
    absorbed visitors; noted: moments that began.
    """

    verdicts: list[Verdict]
    changed: bool
    due: int | None
    messages: list[facts.MessageDecided]
    forwarded: list[OutboxEntry]
    overflowed: bool
    crowded: bool
    noted: list[Waiting] = field(default_factory=list)


@dataclass(slots=True)
class Decoded:
    """A batch by identity; `malformed` counts records that are no facts (none, by contract)."""

    deliveries: dict[str, list[Delivery]] = field(default_factory=dict)
    malformed: int = 0


def decode_batch(records: "Iterable[Record]") -> Decoded:
    """Groups records of `events` by the identity that their key names."""
    decoded = Decoded()
    for record in records:
        read = read_delivery(record)
        if read is None:
            decoded.malformed += 1
        else:
            key, delivery = read
            decoded.deliveries.setdefault(key, []).append(delivery)
    return decoded


def read_delivery(record: "Record") -> tuple[str, Delivery] | None:
    """The identity's key and its delivery; None where the record is no fact that can be folded."""
    try:
        key = (record.key or b"").decode()
        fact = facts.decode(record.value or b"")
        if isinstance(fact, facts.ProfileAbsorbed):
            unpack(fact.component)
            through_offset(fact)
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return None
    accepted_at = find_int(record.headers, AT) or 0
    return key, Delivery(fact, record.partition, record.offset, accepted_at)


def fold_identity(
    identity: Identity,
    deliveries: Sequence[Delivery],
    rules: Rules | None = None,
    now: int | None = None,
    past: int = 0,
) -> Effects:
    """Applies deliveries to an identity, in place, and says what follows from them.

    With rules, what the new facts of a known customer begin is noted beside the state. now: epoch
    ms where these were the last ones in the log: what they make of segments and stage is stated;
    else that is put off. past: epoch ms; what would be too late to say by then begins nothing.
    A fact that was known sets the timer again: whoever met it first may have died before it came
    into the index, or another process may have dropped the entry before this state was written.
    """
    before = next_due(identity)
    flagged, many = identity.profile.overflowed, absorbs_many(identity.profile)
    notes = identity.is_customer and rules is not None
    verdicts: list[Verdict] = []
    messages: list[facts.MessageDecided] = []
    noted: list[Waiting] = []
    for delivery in deliveries:
        verdict = apply(identity, delivery)
        verdicts.append(verdict)
        fact = delivery.fact
        if isinstance(fact, facts.MessageDecided) and is_first_word(identity, delivery, verdict):
            said = to_say(identity, fact)
            if said is not None:
                messages.append(said)
        if notes and verdict is Verdict.NEW and rules is not None:
            noted += note(identity, fact, rules.book, rules.around, past)
    changed = any(verdict is not Verdict.REDELIVERED for verdict in verdicts)
    if notes and changed and rules is not None:
        _assess(identity, deliveries, rules, now)
    return Effects(
        verdicts=verdicts,
        changed=changed,
        due=due_after(identity, before, again=any(each is not Verdict.NEW for each in verdicts)),
        messages=messages,
        forwarded=[] if identity.is_customer else list(identity.outbox),
        overflowed=identity.profile.overflowed and not flagged,
        crowded=absorbs_many(identity.profile) and not many,
        noted=noted,
    )


def _assess(
    identity: Identity, deliveries: Sequence[Delivery], rules: Rules, now: int | None
) -> None:
    if not may_change(deliveries, rules.book):
        return
    if now is None or identity.outbox:
        # Not the end of the log, or something waits for its fold: then the timer loop asks.
        ask_to_assess(identity, identity.profile.component.last_at)
    else:
        assess(identity, rules.book, rules.around, now, newest_position(identity))


def due_after(identity: Identity, before: int | None, *, again: bool = False) -> int | None:
    """What the index must be told: the due time where it is another than before; with `again`, and
    while anything waits in the outbox (which must be looked after), whatever it was. Nothing where
    nothing waits: an entry that stands is looked at in its time, and dropped."""
    due = next_due(identity)
    return due if again or due == AT_ONCE or due != before else None


def item_increments(
    deliveries: Mapping[str, Sequence[Delivery]],
    effects: Mapping[str, Effects],
    standing: Mapping[int, int],
) -> dict[int, Increments]:
    """What a batch adds to item statistics, by partition, beyond the positions that stand."""
    increments: dict[int, Increments] = {}
    for key, sequence in deliveries.items():
        for delivery, verdict in zip(sequence, effects[key].verdicts, strict=True):
            if verdict is Verdict.DUPLICATE:
                continue
            if delivery.offset > standing.get(delivery.partition, -1):
                gather(increments.setdefault(delivery.partition, {}), delivery.fact)
    return increments
