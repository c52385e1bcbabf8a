"""One identity and what a delivered fact does to it: guards, links, fold, outbox. Pure.

Invariant: an event changes an identity exactly once, however often it is delivered. Two guards
stand here: position (an offset at or below it was folded) and the event-id window. What must
follow from a fact (a component for the owner) goes into the outbox of the same write.
"""

import hashlib
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from msgspec import Struct

from services.profile.component import Component, insert_touch, merge, pack, unpack
from services.profile.fold import SESSION_IDLE_MS, fold
from services.profile.state import LINKED, SENDS_KEPT, Decided, Profile
from services.profile.window import Verdict, Window, digest
from shared import events as facts

TIE_MASK: Final = 0xFFFFFFFF
CUSTOMER_PREFIX: Final = "c:"
_NEVER: Final = Decided(0, -1)


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
    folded event was accepted.
    """

    key: str
    counter: int = 0
    profile: Profile = field(default_factory=Profile)
    positions: dict[int, int] = field(default_factory=dict)
    window: Window = field(default_factory=Window)
    outbox: list[OutboxEntry] = field(default_factory=list)
    accepted_at: int = 0

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

    REDELIVERED: this very record was folded before; DUPLICATE: another record with its id was.
    """
    fact, partition, offset, accepted_at = delivery
    mark = digest(fact.event_id)
    verdict = identity.window.judge(mark, offset)
    if offset <= identity.positions.get(partition, -1):
        return Verdict.DUPLICATE if verdict is Verdict.DUPLICATE else Verdict.REDELIVERED
    identity.positions[partition] = offset
    if verdict is not Verdict.NEW:
        return Verdict.DUPLICATE
    if isinstance(fact, facts.ProfileAbsorbed) and _was_absorbed(identity.profile, fact):
        return Verdict.DUPLICATE
    if identity.window.remember(mark, offset, fact.received_at):
        identity.profile.overflowed = True
    identity.accepted_at = max(identity.accepted_at, accepted_at)
    if identity.is_customer:
        _apply_to_customer(identity, fact, mark & TIE_MASK, offset)
    else:
        _apply_to_visitor(identity, fact, mark & TIE_MASK, f"{partition}/{offset}")
    return Verdict.NEW


def _apply_to_customer(identity: Identity, fact: facts.AnyFact, tie: int, offset: int) -> None:
    profile = identity.profile
    if isinstance(fact, facts.ProfileAbsorbed):
        merge(profile.component, unpack(fact.component))
        _absorbed(profile, fact.anonymous, through_offset(fact))
    elif isinstance(fact, facts.MessageDecided):
        due = fact.due or fact.occurred_at
        if due > profile.decided.get(fact.scenario, _NEVER).due:
            profile.decided[fact.scenario] = Decided(due, offset)
        if fact.verdict == "send":
            profile.sends = sorted((*profile.sends, fact.occurred_at), reverse=True)[:SENDS_KEPT]
        identity.outbox = [entry for entry in identity.outbox if entry.fact_id != fact.event_id]
    elif not isinstance(fact, facts.SystemFact):
        fold(profile.component, fact, tie, authenticated=True)
        if isinstance(fact, facts.Identified):
            _absorbed(profile, fact.anonymous, LINKED)


def through_offset(fact: facts.ProfileAbsorbed) -> int:
    """The offset, in the visitor's partition, of what caused this handing over."""
    return int(fact.through.rpartition("/")[2])


def _was_absorbed(profile: Profile, fact: facts.ProfileAbsorbed) -> bool:
    """Whether this part of the visitor's history, or a later one, was added before."""
    return through_offset(fact) <= profile.absorbed.get(fact.anonymous or "", LINKED)


def _absorbed(profile: Profile, anonymous: str | None, through: int) -> None:
    if anonymous is not None:
        profile.absorbed[anonymous] = max(profile.absorbed.get(anonymous, LINKED), through)


def _apply_to_visitor(identity: Identity, fact: facts.AnyFact, tie: int, through: str) -> None:
    profile = identity.profile
    if isinstance(fact, facts.Identified):
        if fact.customer is not None and fact.customer != profile.owner:
            _hand_over(identity, fact, fact.customer, through)
    elif isinstance(fact, facts.SystemFact):
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
        component=pack(component),
    )
    entry = OutboxEntry(fact_id, facts.customer_key(owner), facts.encode(absorbed), cause.event_id)
    identity.outbox.append(entry)
