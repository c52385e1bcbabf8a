"""States what was decided: verdicts as facts in the outbox, with the trigger's final bytes. Pure.

Decide, then fold: a verdict takes effect when its fact is folded, and its trigger is published
then. The ids follow from the moment and the attempt alone, so whoever decides it states the same
fact, and of two the first in the log wins.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from services.profile.arbiter.windows import Usage
from services.profile.identity import Identity, OutboxEntry, stable_id
from services.profile.moments.about import about
from services.profile.moments.around import Around
from services.profile.moments.beginning import fact_id
from services.profile.moments.deciding import Decided
from services.profile.moments.subjects import about_cart, items_of
from services.profile.scenarios.book import Book
from shared import events as facts
from shared.triggers import Fatigue, Payload, Trigger, encode, suppressed

HOUR_MS: Final = 3_600_000
SOURCE: Final = "attune"
UNLIMITED: Final = Fatigue(used=0, budget=0, window=0)
"""Where no budget covers the message."""


def state(
    identity: Identity,
    made: Sequence[Decided],
    payloads: Mapping[str, Payload],
    book: Book,
    around: Around,
    now: int,
) -> list[OutboxEntry]:
    """Puts the facts into the outbox: arms that the verdicts rest on first, each once.

    payloads: trigger id → what recommend answered, for those that were asked for; now: epoch ms.
    """
    entries: dict[str, OutboxEntry] = {}
    for decided in made:
        for experiment, arm in decided.unrecorded:
            entry = arm_entry(identity, experiment, arm, decided.moment.cause, now)
            entries.setdefault(entry.fact_id, entry)
        offered = payloads.get(decided.trigger_id, Payload())
        fact = _verdict(identity, decided, offered, book, around, now)
        entries[fact.event_id] = _entry(identity, fact)
    identity.outbox += entries.values()
    return list(entries.values())


def _entry(identity: Identity, fact: facts.Fact) -> OutboxEntry:
    return OutboxEntry(fact.event_id, identity.key, facts.encode(fact), fact.cause or "")


def arm_entry(identity: Identity, experiment: str, arm: str, cause: str, now: int) -> OutboxEntry:
    """That a customer is in an arm of an experiment; the first word on it stands."""
    fact = facts.ArmAssigned(
        event_id=stable_id("arm", identity.key, experiment, arm),
        occurred_at=now,
        received_at=now,
        customer=identity.key[2:],
        source=SOURCE,
        cause=cause,
        experiment=experiment,
        arm=arm,
    )
    return _entry(identity, fact)


def _verdict(
    identity: Identity,
    decided: Decided,
    offered: Payload,
    book: Book,
    around: Around,
    now: int,
) -> facts.MessageDecided:
    moment, scenario = decided.moment, decided.scenario
    purpose = "" if scenario is None else scenario.purpose
    return facts.MessageDecided(
        event_id=fact_id(decided.trigger_id, decided.attempt),
        occurred_at=now,
        received_at=now,
        customer=identity.key[2:],
        source=SOURCE,
        cause=moment.cause,
        trigger_id=decided.trigger_id,
        scenario=moment.scenario,
        channel=decided.channel,
        verdict=decided.verdict,
        reason=decided.reason,
        due=max(0, moment.due),
        moment_at=max(0, moment.at),
        retry_at=decided.retry_at,
        expires_at=decided.expires_at,
        attempt=decided.attempt,
        purpose=purpose,
        basis="" if scenario is None else book.policy.basis_of(purpose).name,
        tags=[] if scenario is None else sorted(scenario.tags),
        transactional=purpose in book.policy.transactional,
        subject=moment.subject,
        item=moment.item,
        version=book.version,
        trigger=encode(_message(identity, decided, offered, book, around, now)),
    )


def _message(
    identity: Identity,
    decided: Decided,
    offered: Payload,
    book: Book,
    around: Around,
    now: int,
) -> Trigger:
    moment, scenario = decided.moment, decided.scenario
    component = identity.profile.component
    items = [] if scenario is None else items_of(scenario, moment, component, around, now)
    in_cart = scenario is not None and about_cart(scenario)
    evidence = [component.cart[item].event_id for item in items] if in_cart else []
    trigger = Trigger(
        decision_id=decided.trigger_id,
        scenario=moment.scenario,
        customer=identity.key[2:],
        channel=decided.channel,
        style="" if scenario is None else scenario.style,
        not_before=now,
        expires_at=decided.expires_at,
        dedupe_key=decided.trigger_id,
        priority=50 if scenario is None else scenario.priority,
        fatigue=_fatigue(decided.fatigue),
        arm=decided.arm,
        evidence=evidence or [moment.cause],
        payload=replace(offered, items=list(dict.fromkeys((*items, *offered.items)))),
        version=book.version,
        purpose="" if scenario is None else scenario.purpose,
        tags=[] if scenario is None else sorted(scenario.tags),
        about=about(identity.profile, scenario, moment, items, around),
    )
    if decided.verdict == "send":
        return trigger
    return suppressed(trigger, decided.reason, decided.retry_at)


def _fatigue(usage: Usage | None) -> Fatigue:
    if usage is None:
        return UNLIMITED
    return Fatigue(used=usage.used, budget=usage.budget, window=usage.window_ms // HOUR_MS)
