"""One customer's scenarios as they stand: what waits, what is held, and what stands in the way.

Pure. Asks the very functions that decide: `objection`, the arbiter's `judge`, its budgets and arms.
A moment that waits is judged as of its time by what is known now; a scenario without one as if its
moment came now.
"""

from collections.abc import Iterator
from datetime import datetime
from math import isnan
from typing import Final, NamedTuple

from services.profile.arbiter import channels as learned
from services.profile.arbiter.arms import arms_of
from services.profile.arbiter.decide import Decision, consents, judge
from services.profile.arbiter.policy import Basis
from services.profile.arbiter.quiet import quiet_until
from services.profile.arbiter.standing import Standing, standing_of
from services.profile.arbiter.windows import FOREVER, usage
from services.profile.contact import Responses
from services.profile.explain.answer import (
    BudgetNow,
    ChannelNow,
    ConditionNow,
    ConsentNow,
    Explained,
    MomentNow,
    ScenarioNow,
)
from services.profile.identity import Identity, trigger_id
from services.profile.moments.around import Around
from services.profile.moments.beginning import may_begin
from services.profile.moments.context import MomentContext
from services.profile.moments.deciding import candidate_of
from services.profile.moments.objections import objection
from services.profile.moments.occurring import occurrences
from services.profile.moments.waiting import Waiting
from services.profile.scenarios.book import (
    Book,
    Condition,
    OnFact,
    OnItem,
    OnTimer,
    Scalar,
    Scenario,
)

_OF_THE_FACT: Final = ("event.",)
"""How variables begin that only the fact has which begins a moment."""
_OF_THE_MOMENT: Final = (*_OF_THE_FACT, "item.", "order.", "timer.")
"""How variables begin that only a moment has."""
_NEXT: Final = "explain"
"""The cause of a moment that has not come."""


def explain(identity: Identity, book: Book, around: Around, now: int) -> Explained:
    """The answer on a known customer at `now` (epoch ms)."""
    return _Explaining(identity, book, around, now).answer()


class _Open(NamedTuple):
    """A moment that is not over. known: its trigger's id; attempt: of the verdict to come; due: of
    that verdict."""

    state: str
    moment: Waiting
    known: str
    attempt: int
    expires_at: int
    due: int


class _Explaining:
    def __init__(self, identity: Identity, book: Book, around: Around, now: int) -> None:
        self._identity = identity
        self._book = book
        self._around = around
        self._now = now
        profile = identity.profile
        self._standing: Standing = standing_of(
            identity.key[2:], profile.component, profile.contact, around.zone
        )

    def answer(self) -> Explained:
        profile, standing, quiet = self._identity.profile, self._standing, self._book.policy.quiet
        contact = profile.contact
        local = datetime.fromtimestamp(self._now / 1000, standing.zone)
        return Explained(
            customer=standing.customer,
            now=self._now,
            version=self._book.version,
            zone=standing.zone.key,
            local_time=local.isoformat(timespec="minutes"),
            quiet_until=None if quiet is None else quiet_until(quiet, standing.zone, self._now),
            quiet_channels=[] if quiet is None else sorted(quiet.channels),
            paused=not standing.profiled,
            stage=contact.stage,
            stage_since=contact.stage_since,
            segments=dict(sorted(contact.segments.items())),
            holdout=dict(sorted(contact.arms.items())),
            contaminated=contact.contaminated,
            stretch=round(standing.stretch, 3),
            outbox=len(self._identity.outbox),
            predictions=self._around.predict(profile.component, self._now),
            budgets=list(self._budgets()),
            consents=list(self._consents()),
            channels=[
                _channel(name, responses) for name, responses in sorted(contact.responses.items())
            ],
            scenarios=[self._scenario(scenario) for scenario in self._book.scenarios],
        )

    def _budgets(self) -> Iterator[BudgetNow]:
        for budget in self._book.policy.budgets:
            found = usage(budget, self._standing.sent, self._standing.stretch, self._now)
            yield BudgetNow(
                messages=budget.messages,
                window_ms=found.window_ms,
                channel=budget.channel,
                tag=budget.tag,
                used=found.used,
                left=max(0, budget.messages - found.used),
                free_at=found.free_at if self._now < found.free_at < FOREVER else None,
            )

    def _consents(self) -> Iterator[ConsentNow]:
        asked: dict[tuple[str, str], Scenario] = {}
        for scenario in self._book.scenarios:
            for channel in scenario.channels:
                asked.setdefault((scenario.purpose, channel), scenario)
        for (purpose, channel), scenario in sorted(asked.items(), key=lambda entry: entry[0]):
            yield ConsentNow(
                purpose=purpose,
                channel=channel,
                basis=self._basis(purpose).name,
                allowed=self._allows(scenario, channel),
            )

    def _basis(self, purpose: str) -> Basis:
        return self._book.policy.bases.get(purpose, Basis(name="consent"))

    def _allows(self, scenario: Scenario, channel: str) -> bool:
        candidate = candidate_of(
            self._identity,
            scenario,
            self._unborn(scenario),
            _NEXT,
            FOREVER,
            self._around,
            self._now,
        )
        return consents(self._standing, candidate, self._basis(scenario.purpose), channel)

    def _unborn(self, scenario: Scenario) -> Waiting:
        return Waiting(self._now, scenario.name, _NEXT, self._now)

    def _scenario(self, scenario: Scenario) -> ScenarioNow:
        contact = self._identity.profile.contact
        unborn = self._unborn(scenario)
        blocked, retry_at = self._in_the_way(scenario, unborn, _NEXT, FOREVER, self._now)
        open_moments = list(self._open(scenario))
        near = open_moments[0].moment if open_moments else None
        spoke = contact.spoke.get(scenario.name)
        covered = contact.covered.get(scenario.name, 0)
        arms = arms_of(self._standing.customer, scenario.name, contact.arms, self._book.policy)
        return ScenarioNow(
            name=scenario.name,
            begins=_begins(scenario),
            blocked_by=blocked,
            retry_at=retry_at,
            when=self._condition(scenario.when, near),
            recheck=self._condition(scenario.recheck, near),
            last_sent=spoke,
            cooldown_until=_later(
                None if spoke is None else spoke + scenario.cooldown_ms, self._now
            ),
            covered_until=_later(covered, self._now),
            arm=arms.arm,
            channels=list(scenario.channels),
            allowed_channels=[name for name in scenario.channels if self._allows(scenario, name)],
            next=self._next(scenario),
            moments=[self._moment(scenario, one) for one in open_moments],
        )

    def _next(self, scenario: Scenario) -> int | None:
        if not isinstance(scenario.on, OnTimer):
            return None
        found = occurrences(self._identity.profile, scenario, self._around, self._now)
        return found[0].due if found else None

    def _open(self, scenario: Scenario) -> Iterator[_Open]:
        """What waits, and then what is held, each by its time."""
        for moment in sorted(self._identity.waiting):
            if moment.scenario == scenario.name:
                known = trigger_id(self._identity, moment)
                yield _Open("waiting", moment, known, 1, moment.due + scenario.life_ms, moment.due)
        holds = self._identity.profile.contact.holds
        for known, hold in sorted(holds.items(), key=lambda entry: (entry[1].retry_at, entry[0])):
            if hold.scenario == scenario.name:
                moment = Waiting(
                    hold.due, hold.scenario, hold.cause, hold.at, hold.subject, hold.item
                )
                attempt, retry_at = hold.attempt + 1, hold.retry_at
                yield _Open("held", moment, known, attempt, hold.expires_at, retry_at)

    def _moment(self, scenario: Scenario, one: _Open) -> MomentNow:
        at = max(self._now, one.due)
        blocked, retry_at = self._in_the_way(scenario, one.moment, one.known, one.expires_at, at)
        candidate = candidate_of(
            self._identity, scenario, one.moment, one.known, one.expires_at, self._around, at
        )
        return MomentNow(
            state=one.state,
            due=one.due,
            expires_at=one.expires_at,
            attempt=one.attempt,
            cause=one.moment.cause,
            subject=one.moment.subject,
            item=one.moment.item,
            blocked_by=blocked,
            retry_at=retry_at,
            value=candidate.value,
        )

    def _in_the_way(
        self, scenario: Scenario, moment: Waiting, known: str, expires_at: int, at: int
    ) -> tuple[str | None, int | None]:
        """What stands in the way of sending at that time, and until when."""
        identity, policy = self._identity, self._book.policy
        if moment.cause == _NEXT:
            refused = may_begin(identity, scenario, moment.due, policy)
            covered = identity.profile.contact.covered.get(scenario.name)
        else:
            refused = objection(identity, scenario, moment, policy, self._around, at)
            covered = None
        if refused is not None:
            return refused, covered if refused == "covered" else None
        candidate = candidate_of(identity, scenario, moment, known, expires_at, self._around, at)
        decision: Decision = judge(self._standing, candidate, policy, at)
        if decision.verdict == "send":
            return None, None
        return decision.reason, decision.retry_at

    def _condition(
        self, condition: Condition | None, moment: Waiting | None
    ) -> ConditionNow | None:
        if condition is None:
            return None
        context = MomentContext(self._identity.profile, self._around, self._now, waiting=moment)
        names = sorted(condition.variables)
        unknown = _OF_THE_FACT if moment is not None else _OF_THE_MOMENT
        missing = [name for name in names if name.startswith(unknown)]
        return ConditionNow(
            text=" ".join(condition.text.split()),
            holds=None if missing else condition.holds(context),
            values={
                name: None if name in missing else _plain(context.value(name)) for name in names
            },
        )


def _plain(value: Scalar) -> Scalar:
    """JSON has no NaN: what is not known is null, and what is not counted is no number."""
    if isinstance(value, float) and (isnan(value) or value in (float("inf"), float("-inf"))):
        return None
    return value


def _later(at: int | None, now: int) -> int | None:
    return at if at is not None and at > now else None


def _begins(scenario: Scenario) -> str:
    on = scenario.on
    if isinstance(on, OnFact):
        return on.fact
    if isinstance(on, OnItem):
        return f"item_changed ({', '.join(sorted(on.interest))})"
    return f"timer {on.timer}"


def _channel(name: str, responses: Responses) -> ChannelNow:
    return ChannelNow(
        channel=name,
        sent=responses.sent,
        opened=responses.opened,
        clicked=responses.clicked,
        unsubscribed=responses.unsubscribed,
        bounced=responses.bounced,
        answered=round(learned.answered_mean(responses), 4),
    )
