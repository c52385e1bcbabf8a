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
from services.profile.triggers.timers import AT_ONCE, MOVERS, next_due
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
    absorbed visitors.
    """

    verdicts: list[Verdict]
    changed: bool
    due: int | None
    messages: list[facts.MessageDecided]
    forwarded: list[OutboxEntry]
    overflowed: bool
    crowded: bool


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


def fold_identity(identity: Identity, deliveries: Sequence[Delivery]) -> Effects:
    """Applies deliveries to an identity, in place, and says what follows from them.

    A redelivered fact sets its timer again: the index may have lost it, or another process may
    have dropped the entry before this state was written.
    """
    due = None
    before = next_due(identity)
    flagged, many = identity.profile.overflowed, absorbs_many(identity.profile)
    verdicts = []
    messages = []
    for delivery in deliveries:
        verdict = apply(identity, delivery)
        verdicts.append(verdict)
        fact = delivery.fact
        if isinstance(fact, facts.MessageDecided) and is_first_word(identity, delivery, verdict):
            messages.append(fact)
        after = next_due(identity)
        moved = after != before or (verdict is Verdict.REDELIVERED and isinstance(fact, MOVERS))
        if moved and not facts.is_imported(fact):
            due = after
        before = after
    if identity.is_customer and identity.outbox:
        # Whatever the index holds: what waits in the outbox must be looked after.
        due = AT_ONCE
    return Effects(
        verdicts=verdicts,
        changed=any(verdict is not Verdict.REDELIVERED for verdict in verdicts),
        due=due,
        messages=messages,
        forwarded=[] if identity.is_customer else list(identity.outbox),
        overflowed=identity.profile.overflowed and not flagged,
        crowded=absorbs_many(identity.profile) and not many,
    )


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
