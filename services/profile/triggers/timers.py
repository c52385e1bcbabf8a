"""What a due timer means for an identity: a decision to publish, a later time, or nothing. Pure.

Decide, then fold: the verdict becomes a fact `message_decided` in the outbox, with the trigger's
final bytes, and takes effect when that fact is folded. Its id comes from the due time, so a timer
that fires again states the same fact, and the first one wins. A moment whose message would be born
expired is passed over in silence: nobody is spoken to of a cart of last week.
"""

from typing import Final, NamedTuple

import msgspec

from services.profile.identity import Identity, OutboxEntry, stable_id
from services.profile.triggers import arbiter
from services.profile.triggers.cart_abandoned import (
    CHANNEL,
    LIFETIME_MS,
    PRIORITY,
    SCENARIO,
    Moment,
    due_at,
    moment,
)
from services.profile.window import digest
from shared import events as facts
from shared.triggers import Fatigue, Payload, Suppression, Trigger, encode

AT_ONCE: Final = 0
"""Due since ever: a decision waits in the outbox, and the log may not have it."""

MOVERS: Final = (
    facts.CartAdded,
    facts.CartRemoved,
    facts.Purchased,
    facts.ProfileAbsorbed,
    facts.MessageDecided,
)
"""The facts that can move a timer."""


class Fired(NamedTuple):
    """stated: the fact is now in the outbox and must be written; standing: what was there already.

    later: when to look again (epoch ms). All unset: the timer is stale.
    """

    stated: OutboxEntry | None = None
    standing: tuple[OutboxEntry, ...] = ()
    later: int | None = None


def next_due(identity: Identity) -> int | None:
    """When this identity's timer should fire, or None where it needs none.

    While a decision waits for its fold there is nothing else to decide: it must reach the log,
    whatever has become of the cart, and what it says (a send, a due time) counts for the next.
    """
    if not identity.is_customer:
        return None
    if identity.outbox:
        return AT_ONCE
    due = due_at(identity.profile.component)
    contact = identity.profile.contact
    if due is None or contact.spoke.get(SCENARIO, 0) >= due:
        return None
    if contact.stated and contact.knows(digest(_ids(identity, due)[1])):
        return None
    return due


def _ids(identity: Identity, due: int) -> tuple[str, str]:
    """Of the trigger, and of the fact that states it."""
    trigger_id = stable_id(SCENARIO, identity.key, str(due))
    return trigger_id, stable_id(trigger_id, "1")


def fire(identity: Identity, now: int) -> Fired:
    """Re-validates a due timer at `now` (epoch ms) and decides; may add to the outbox."""
    due = next_due(identity)
    if due is None:
        return Fired()
    if identity.outbox:
        return Fired(standing=tuple(identity.outbox))
    if due > now:
        return Fired(later=due)
    if due + LIFETIME_MS <= now:
        return Fired()
    trigger_id, fact_id = _ids(identity, due)
    entry = _state(identity, moment(identity.profile.component, due), trigger_id, fact_id, now)
    identity.outbox.append(entry)
    return Fired(stated=entry)


def _state(
    identity: Identity, found: Moment, trigger_id: str, fact_id: str, now: int
) -> OutboxEntry:
    decision = arbiter.decide(identity.profile, CHANNEL, now)
    fact = facts.MessageDecided(
        event_id=fact_id,
        occurred_at=now,
        received_at=now,
        customer=identity.key[2:],
        source="attune",
        cause=found.evidence[0],
        trigger_id=trigger_id,
        scenario=SCENARIO,
        channel=CHANNEL,
        verdict=decision.verdict,
        reason=decision.reason,
        due=found.due,
        retry_at=decision.retry_at,
        trigger=encode(_message(identity, found, decision, trigger_id, now)),
    )
    return OutboxEntry(fact_id, identity.key, facts.encode(fact), found.evidence[0])


def _message(
    identity: Identity, found: Moment, decision: arbiter.Decision, trigger_id: str, now: int
) -> Trigger:
    trigger = Trigger(
        decision_id=trigger_id,
        scenario=SCENARIO,
        customer=identity.key[2:],
        channel=CHANNEL,
        style="reminder",
        not_before=now,
        expires_at=found.due + LIFETIME_MS,
        dedupe_key=trigger_id,
        priority=PRIORITY,
        fatigue=Fatigue(used=decision.used, budget=arbiter.DAILY_BUDGET, window=24),
        arm="all",
        evidence=found.evidence,
        payload=Payload(items=found.items),
    )
    if decision.verdict == "send":
        return trigger
    return Suppression(
        **msgspec.structs.asdict(trigger),
        suppressed_by=decision.reason,
        retry_at=decision.retry_at,
    )
