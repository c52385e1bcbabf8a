"""One customer's scenarios as they stand: what waits, what is held, and what stands in the way.

Pure. Asks the very functions that decide (`judging`), the arbiter's budgets and its arms. A moment
that waits is judged as of its time by what is known now; a scenario as if its moment came now.
"""

from collections.abc import Iterator
from datetime import datetime

from services.profile.arbiter import channels as learned
from services.profile.arbiter.arms import arms_of
from services.profile.arbiter.decide import Candidate, consents
from services.profile.arbiter.quiet import quiet_until
from services.profile.arbiter.standing import Standing, standing_of
from services.profile.arbiter.windows import FOREVER, usage
from services.profile.contact import Responses
from services.profile.explain.answer import (
    BudgetNow,
    ChannelNow,
    ConsentNow,
    Explained,
    MomentNow,
    ScenarioNow,
)
from services.profile.explain.doubts import doubts
from services.profile.explain.judging import Judge
from services.profile.explain.opening import Open, open_moments
from services.profile.identity import Identity
from services.profile.moments.around import Around
from services.profile.moments.occurring import occurrences
from services.profile.scenarios.book import Book, OnFact, OnItem, OnTimer, Scenario


def explain(identity: Identity, book: Book, around: Around, now: int, file: str = "") -> Explained:
    """The answer on a known customer at `now` (epoch ms). file: where the book was read."""
    return _Explaining(identity, book, around, now, file).answer()


class _Explaining:
    def __init__(self, identity: Identity, book: Book, around: Around, now: int, file: str) -> None:
        self._identity = identity
        self._book = book
        self._around = around
        self._now = now
        self._file = file
        profile = identity.profile
        self._standing: Standing = standing_of(
            identity.key[2:], profile.component, profile.contact, around.zone
        )
        self._judge = Judge(identity, book, around, self._standing)

    def answer(self) -> Explained:
        profile, standing, quiet = self._identity.profile, self._standing, self._book.policy.quiet
        contact = profile.contact
        local = datetime.fromtimestamp(self._now / 1000, standing.zone)
        return Explained(
            customer=standing.customer,
            now=self._now,
            version=self._book.version,
            file=self._file,
            warnings=list(doubts(self._identity, self._book, self._around)),
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
                basis=self._book.policy.basis_of(purpose).name,
                allowed=self._allows(scenario, channel),
            )

    def _allows(self, scenario: Scenario, channel: str) -> bool:
        return consents(
            self._standing,
            Candidate(
                trigger_id="",
                scenario=scenario.name,
                purpose=scenario.purpose,
                channels=scenario.channels,
                expires_at=FOREVER,
            ),
            self._book.policy.basis_of(scenario.purpose),
            channel,
        )

    def _scenario(self, scenario: Scenario) -> ScenarioNow:
        contact = self._identity.profile.contact
        judged = self._judge.to_come(scenario, self._now)
        spoke = contact.spoke.get(scenario.name)
        arms = arms_of(self._standing.customer, scenario.name, contact.arms, self._book.policy)
        return ScenarioNow(
            name=scenario.name,
            begins=_begins(scenario),
            **judged._asdict(),
            last_sent=spoke,
            cooldown_until=_later(
                None if spoke is None else spoke + scenario.cooldown_ms, self._now
            ),
            covered_until=_later(contact.covered.get(scenario.name, 0), self._now),
            arm=arms.arm,
            channels=list(scenario.channels),
            allowed_channels=[name for name in scenario.channels if self._allows(scenario, name)],
            next=self._next(scenario),
            moments=[
                self._moment(scenario, one)
                for one in open_moments(self._identity, scenario, self._around, self._now)
            ],
        )

    def _next(self, scenario: Scenario) -> int | None:
        if not isinstance(scenario.on, OnTimer):
            return None
        found = occurrences(self._identity.profile, scenario, self._around, self._now)
        return found[0].due if found else None

    def _moment(self, scenario: Scenario, one: Open) -> MomentNow:
        at = max(self._now, one.due)
        judged = self._judge.come(scenario, one.moment, one.known, one.expires_at, at)
        return MomentNow(
            state=one.state,
            due=one.due,
            expires_at=one.expires_at,
            attempt=one.attempt,
            cause=one.moment.cause,
            subject=one.moment.subject,
            item=one.moment.item,
            **judged._asdict(),
        )


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
