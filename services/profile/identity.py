"""One identity and what a delivered fact does to it: guards, links, fold, outbox. Pure.

Invariant: an event changes an identity exactly once, however often it is delivered. Two guards
stand here: position (an offset at or below it was folded) and the event-id window; what the system
itself states has one more, in the state, that outlasts the window. What must follow from a fact
(a component for the owner) goes into the outbox of the same write; what the log has leaves it.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final, NamedTuple, get_args

from msgspec import Struct

from services.profile.absorbing import judge_part, note_absorbed, note_handed, through_offset
from services.profile.component import Component, merge, pack, unpack
from services.profile.consent import is_withdrawn
from services.profile.contact import (
    Contact,
    Stated,
    note_arm,
    note_decided,
    note_response,
    note_segment,
    note_stage,
)
from services.profile.fold import SESSION_IDLE_MS, fold
from services.profile.moments.waiting import Waiting
from services.profile.registers import insert_touch
from services.profile.state import LINKED, Profile
from services.profile.window import Verdict, Window, digest
from shared import events as facts

TIE_MASK: Final = 0xFFFFFFFF
CUSTOMER_PREFIX: Final = "c:"
_SYSTEM_FACTS: Final = frozenset(get_args(facts.SystemFact))
"""As a set, because asking a union costs with each of its members."""


class OutboxEntry(Struct, array_like=True, frozen=True):
    """A fact that the system states: its id, the identity it goes to, its JSON, its cause."""

    fact_id: str
    key: str
    value: bytes
    cause: str


@dataclass(slots=True)
class Identity:
    """Everything that one hash in Redis holds. `positions`: partition → last offset folded.

    counter: the compare-and-set counter as loaded; accepted_at: real ms at which the newest
    folded event was accepted; waiting: moments that may come, no part of what equality means.
    """

    key: str
    counter: int = 0
    profile: Profile = field(default_factory=Profile)
    positions: dict[int, int] = field(default_factory=dict)
    window: Window = field(default_factory=Window)
    outbox: list[OutboxEntry] = field(default_factory=list)
    accepted_at: int = 0
    waiting: list[Waiting] = field(default_factory=list)

    @property
    def is_customer(self) -> bool:
        """Whether this is a known customer rather than an anonymous visitor."""
        return self.key.startswith(CUSTOMER_PREFIX)


class Delivery(NamedTuple):
    """One record of `events` for one identity. accepted_at: real ms, 0 where unknown."""

    fact: facts.AnyFact
    partition: int
    offset: int
    accepted_at: int = 0


def stable_id(*parts: str) -> str:
    """A deterministic id: 128 bits over its parts."""
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


def apply(identity: Identity, delivery: Delivery) -> Verdict:
    """Folds one delivery into an identity, in place, unless a guard says it was.

    REDELIVERED: this very record was folded before; DUPLICATE: another record with its id, or of
    the same part or moment, was; EARLY: it must come again after what it follows.
    """
    fact, partition, offset, accepted_at = delivery
    mark = digest(fact.event_id)
    verdict = identity.window.judge(mark, offset)
    if offset <= identity.positions.get(partition, -1):
        return Verdict.DUPLICATE if verdict is Verdict.DUPLICATE else Verdict.REDELIVERED
    identity.positions[partition] = offset
    if type(fact) in _SYSTEM_FACTS:
        verdict = _judge_own(identity, fact, mark, verdict)
    if verdict is not Verdict.NEW:
        return Verdict.EARLY if verdict is Verdict.EARLY else Verdict.DUPLICATE
    if identity.window.remember(mark, offset, fact.received_at):
        identity.profile.overflowed = True
    identity.accepted_at = max(identity.accepted_at, accepted_at)
    if identity.is_customer:
        _apply_to_customer(identity, fact, mark, offset)
    else:
        _apply_to_visitor(identity, fact, mark & TIE_MASK, f"{partition}/{offset}")
    return Verdict.NEW


def _judge_own(identity: Identity, fact: facts.AnyFact, mark: int, verdict: Verdict) -> Verdict:
    """The guards that outlast the event-id window, for what the system itself states."""
    if isinstance(fact, facts.ProfileAbsorbed):
        return judge_part(identity.profile, fact) if verdict is Verdict.NEW else verdict
    # Whatever the verdict: the log has it, so it need not be stated any more.
    if identity.is_customer and identity.outbox:
        identity.outbox = [entry for entry in identity.outbox if entry.fact_id != fact.event_id]
    if _is_so_already(identity.profile.contact, fact):
        return Verdict.DUPLICATE
    if not isinstance(fact, facts.MessageDecided):
        return verdict
    identity.waiting = [
        waiting
        for waiting in identity.waiting
        if waiting.scenario != fact.scenario or trigger_id(identity, waiting) != fact.trigger_id
    ]
    contact = identity.profile.contact
    if contact.knows(mark) or contact.has_sent(fact.trigger_id):
        return Verdict.DUPLICATE
    return verdict


def _is_so_already(contact: Contact, fact: facts.AnyFact) -> bool:
    """Whether segment or stage are what this fact says: two processes, or two generations around a
    rebuild, may state one change upon different positions, and so under two ids."""
    if isinstance(fact, facts.SegmentEntered):
        return fact.segment in contact.segments
    if isinstance(fact, facts.SegmentLeft):
        return fact.segment not in contact.segments
    return isinstance(fact, facts.StageChanged) and fact.stage == contact.stage


def trigger_id(identity: Identity, waiting: Waiting) -> str:
    """The id of the trigger that a waiting moment becomes when it is decided."""
    return stable_id(waiting.scenario, identity.key, waiting.cause)


def is_first_word(identity: Identity, delivery: Delivery, verdict: Verdict) -> bool:
    """Whether a delivered decision is the first with its id in the log: only that one may speak.

    Where the event-id window has forgotten it, the state still knows the latest ones; those before
    were published, or had expired, before the latest were stated.
    """
    if verdict is not Verdict.REDELIVERED:
        return verdict is Verdict.NEW
    mark, offset = digest(delivery.fact.event_id), delivery.offset
    if identity.window.judge(mark, offset) is Verdict.REDELIVERED:
        return True
    return Stated(mark, offset) in identity.profile.contact.stated


def _apply_to_customer(identity: Identity, fact: facts.AnyFact, mark: int, offset: int) -> None:
    profile = identity.profile
    if isinstance(fact, facts.ProfileAbsorbed):
        merge(profile.component, unpack(fact.component))
        note_absorbed(profile, fact.anonymous, through_offset(fact))
    elif type(fact) in _SYSTEM_FACTS:
        _note_own(profile, fact, mark, offset)
    else:
        fold(profile.component, fact, mark & TIE_MASK, authenticated=True)
        if isinstance(fact, facts.Identified):
            note_absorbed(profile, fact.anonymous, LINKED)
        elif isinstance(fact, facts.MessageFact):
            note_response(profile.contact, fact)


def _note_own(profile: Profile, fact: facts.AnyFact, mark: int, offset: int) -> None:
    contact = profile.contact
    if isinstance(fact, facts.MessageDecided):
        withdrawn = is_withdrawn(profile.component, fact)
        note_decided(contact, fact, mark, offset, withdrawn=withdrawn)
    elif isinstance(fact, facts.ArmAssigned):
        note_arm(contact, fact)
    elif isinstance(fact, facts.SegmentEntered | facts.SegmentLeft):
        note_segment(contact, fact)
    elif isinstance(fact, facts.StageChanged):
        note_stage(contact, fact)


def _apply_to_visitor(identity: Identity, fact: facts.AnyFact, tie: int, through: str) -> None:
    profile = identity.profile
    if isinstance(fact, facts.Identified):
        if fact.customer is not None and fact.customer != profile.owner:
            _hand_over(identity, fact, fact.customer, through)
    elif type(fact) in _SYSTEM_FACTS:
        return
    elif profile.owner is None:
        fold(profile.component, fact, tie, authenticated=False)
    else:
        _forward(identity, fact, tie, profile.owner, through)


def _hand_over(identity: Identity, fact: facts.Identified, owner: str, through: str) -> None:
    """A login: what the visitor did goes to the customer; the running session stays in view."""
    profile = identity.profile
    component = profile.component
    if component.events:
        profile.trail = component.recent
        profile.active_at = component.last_at
        _emit(identity, fact, owner, through, component)
    profile.component = Component()
    profile.owner = owner


def _forward(identity: Identity, fact: facts.AnyFact, tie: int, owner: str, through: str) -> None:
    """A fact after the login: handed on to the owner as a component of its own."""
    profile = identity.profile
    part = Component()
    fold(part, fact, tie, authenticated=False)
    if fact.occurred_at <= profile.active_at + SESSION_IDLE_MS:
        part.sessions = 0
    profile.active_at = max(profile.active_at, fact.occurred_at)
    for touch in part.recent:
        insert_touch(profile.trail, touch)
    _emit(identity, fact, owner, through, part)


def _emit(
    identity: Identity, cause: facts.Fact, owner: str, through: str, component: Component
) -> None:
    fact_id = stable_id("absorbed", identity.key, through)
    absorbed = facts.ProfileAbsorbed(
        event_id=fact_id,
        occurred_at=cause.occurred_at,
        received_at=cause.received_at,
        customer=owner,
        anonymous=identity.key[2:],
        source="attune",
        cause=cause.event_id,
        through=through,
        after=note_handed(identity.profile, owner, int(through.rpartition("/")[2])),
        component=pack(component),
    )
    entry = OutboxEntry(fact_id, facts.customer_key(owner), facts.encode(absorbed), cause.event_id)
    identity.outbox.append(entry)
