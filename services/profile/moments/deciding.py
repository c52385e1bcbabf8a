"""Decides what has come: the due moments and holds of one customer, all together. Pure.

Asks each again whether it is still so, then the arbiter about all that remain. Takes what failed
out of `identity.waiting` and moves timers that came too early; what was decided stays there until
the fact that says so is folded (`stating` makes it).
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from msgspec import Struct, field

from services.profile.arbiter.arms import EVERYBODY, Assigned
from services.profile.arbiter.decide import Candidate, Decision, arbitrate
from services.profile.arbiter.standing import standing_of
from services.profile.arbiter.windows import Usage
from services.profile.contact import HOLDS_KEPT, Hold
from services.profile.identity import Identity, trigger_id
from services.profile.moments.around import Around
from services.profile.moments.beginning import is_decided
from services.profile.moments.context import MomentContext
from services.profile.moments.noting import arm, replace_timers, undecided
from services.profile.moments.objections import objection
from services.profile.moments.occurring import occurrences
from services.profile.moments.waiting import NO_SCENARIOS, Waiting
from services.profile.scenarios.book import Book, OnTimer, Scenario
from shared.events import Verdict

ANY_CHANNEL: Final = "email"
"""Of a hold that does not say."""
MOST_ATTEMPTS: Final = 1_000
"""As far as a fact can count them."""


class Decided(NamedTuple):
    """One verdict. attempt: 1, and one more with each release from a hold; scenario: None where the
    book has it no more; expires_at, retry_at: epoch ms."""

    trigger_id: str
    moment: Waiting
    scenario: Scenario | None
    attempt: int
    expires_at: int
    verdict: Verdict
    reason: str
    channel: str
    retry_at: int | None = None
    fatigue: Usage | None = None
    arm: str = EVERYBODY
    unrecorded: tuple[Assigned, ...] = ()


class Decisions(Struct):
    """made: verdicts in the order of their times; dropped: (scenario, reason) of what was passed
    over in silence → how many; changed: `identity.waiting` is another and must be written."""

    made: list[Decided] = field(default_factory=list)
    dropped: Counter[tuple[str, str]] = field(default_factory=Counter)
    changed: bool = False


class _Asked(NamedTuple):
    moment: Waiting
    trigger_id: str
    scenario: Scenario
    attempt: int
    expires_at: int


def decide(identity: Identity, book: Book, around: Around, now: int) -> Decisions:
    """Decides what is due at `now` (epoch ms). The outbox must be empty: what waits there counts
    for what is decided next."""
    decisions = Decisions()
    _settle_timers(identity, book, around, now, decisions)
    asked = list(_due_moments(identity, book, around, now, decisions))
    asked += _released(identity, book, around, now, asked, decisions)
    if asked:
        standing = standing_of(
            identity.key[2:], identity.profile.component, identity.profile.contact, around.zone
        )
        candidates = [
            candidate_of(
                identity,
                each.scenario,
                each.moment,
                each.trigger_id,
                each.expires_at,
                around,
                now,
            )
            for each in asked
        ]
        verdicts = arbitrate(standing, candidates, book.policy, now)
        decisions.made += map(_decided, asked, verdicts)
    decisions.made = _kept(identity, book, decisions.made)
    return decisions


def _kept(identity: Identity, book: Book, made: list[Decided]) -> list[Decided]:
    """Holds last, after what makes room for them; and of more than are kept those that end soonest
    are given up, which is a verdict as well."""
    held = {each.trigger_id: each for each in made if each.verdict == "hold"}
    if not held:
        return made
    made.sort(key=lambda each: each.verdict == "hold")
    ended = {each.trigger_id for each in made} - held.keys()
    standing = identity.profile.contact.holds
    ends = {known: hold.expires_at for known, hold in standing.items() if known not in ended}
    ends |= {known: each.expires_at for known, each in held.items()}
    crowded = sorted(ends, key=lambda known: (ends[known], known))[: max(0, len(ends) - HOLDS_KEPT)]
    given_up = []
    for known in crowded:
        if known in held:
            given_up.append(held[known]._replace(verdict="suppress", reason="crowded"))
        else:
            hold = standing[known]
            moment = _moment_of(hold)
            scenario = book.by_name.get(hold.scenario)
            given_up.append(_ended(known, moment, scenario, hold, "crowded"))
    return [*given_up, *(each for each in made if each.trigger_id not in crowded)]


def _moment_of(hold: Hold) -> Waiting:
    return Waiting(hold.due, hold.scenario, hold.cause, hold.at, hold.subject, hold.item)


def _settle_timers(
    identity: Identity, book: Book, around: Around, now: int, decisions: Decisions
) -> None:
    """What a timer's due entries have become: the occurrences as they are known now."""
    names = {each.scenario for each in identity.waiting if each.due <= now and each.from_timer}
    for name in sorted(names):
        scenario = book.by_name.get(name)
        if scenario is None or not isinstance(scenario.on, OnTimer):
            continue
        before = [each for each in identity.waiting if each.scenario == name]
        since = min(each.due for each in before) - 1
        found = occurrences(identity.profile, scenario, around, since)
        if not set(found) & set(before):
            # Moved, perhaps to before now, as where the book tells another hour of the day.
            since = min(since, now - scenario.life_ms)
            found = undecided(identity, scenario, around, since)
        if found and found[0].due + scenario.life_ms <= now:
            # What was missed is not said late: the next one is what counts.
            decisions.dropped[name, "expired"] += len(found)
            found = occurrences(identity.profile, scenario, around, now)
        if found != before:
            replace_timers(identity, scenario, found)
            decisions.changed = True


def _due_moments(
    identity: Identity, book: Book, around: Around, now: int, decisions: Decisions
) -> Iterator[_Asked]:
    for moment in sorted(identity.waiting):
        if moment.due > now:
            break
        if moment.scenario in NO_SCENARIOS:
            continue
        scenario = book.by_name.get(moment.scenario)
        refused = "scenario_gone"
        if scenario is not None:
            refused = _refusal(identity, book, scenario, moment, around, now) or ""
            if not refused:
                known, expires = trigger_id(identity, moment), moment.due + scenario.life_ms
                yield _Asked(moment, known, scenario, 1, expires)
                continue
        decisions.dropped[moment.scenario, refused] += 1
        decisions.changed = True
        identity.waiting.remove(moment)
        if scenario is not None and isinstance(scenario.on, OnTimer):
            arm(identity, [scenario], around, max(now, moment.at))


def _refusal(
    identity: Identity, book: Book, scenario: Scenario, moment: Waiting, around: Around, now: int
) -> str | None:
    if is_decided(identity, moment):
        return "stated"
    if moment.due + scenario.life_ms <= now:
        return "expired"
    return objection(identity, scenario, moment, book.policy, around, now)


def _released(
    identity: Identity,
    book: Book,
    around: Around,
    now: int,
    fresh: Sequence[_Asked],
    decisions: Decisions,
) -> list[_Asked]:
    """A hold is part of the state: it ends by a fact, also where nothing is to be said any more."""
    asked = []
    newer = {(each.scenario.name, each.moment.subject) for each in fresh}
    holds = identity.profile.contact.holds
    for known, hold in sorted(holds.items(), key=lambda each: (each[1].retry_at, each[0])):
        moment = _moment_of(hold)
        scenario = book.by_name.get(hold.scenario)
        refused: str | None = None
        if (hold.scenario, hold.subject) in newer:
            refused = "superseded"
        elif hold.retry_at > now:
            continue
        elif scenario is None:
            refused = "scenario_gone"
        elif hold.expires_at <= now or hold.attempt + 1 >= MOST_ATTEMPTS:
            refused = "expired"
        else:
            refused = objection(identity, scenario, moment, book.policy, around, now)
        ends = hold.attempt + 1, hold.expires_at
        if scenario is not None and refused is None:
            asked.append(_Asked(moment, known, scenario, *ends))
        else:
            decisions.made.append(_ended(known, moment, scenario, hold, refused or ""))
    return asked


def _ended(
    known: str, moment: Waiting, scenario: Scenario | None, hold: Hold, reason: str
) -> Decided:
    channel = hold.channel or ANY_CHANNEL
    return Decided(
        trigger_id=known,
        moment=moment,
        scenario=scenario,
        attempt=hold.attempt + 1,
        expires_at=hold.expires_at,
        verdict="suppress",
        reason=reason,
        channel=channel,
    )


def candidate_of(
    identity: Identity,
    scenario: Scenario,
    moment: Waiting,
    known: str,
    expires_at: int,
    around: Around,
    now: int,
) -> Candidate:
    """A moment as the arbiter weighs it at `now` (epoch ms). known: its trigger's id."""
    value = None
    if scenario.value is not None:
        context = MomentContext(identity.profile, around, now, waiting=moment)
        value = scenario.value.amount(context)
    return Candidate(
        trigger_id=known,
        scenario=scenario.name,
        purpose=scenario.purpose,
        channels=scenario.channels,
        expires_at=expires_at,
        value=value,
        tags=scenario.tags,
        cooldown_ms=scenario.cooldown_ms,
        on_conflict=scenario.on_conflict,
    )


def _decided(asked: _Asked, decision: Decision) -> Decided:
    return Decided(
        asked.trigger_id,
        asked.moment,
        asked.scenario,
        asked.attempt,
        asked.expires_at,
        decision.verdict,
        decision.reason,
        decision.channel,
        decision.retry_at,
        decision.fatigue,
        decision.arm,
        decision.unrecorded,
    )
