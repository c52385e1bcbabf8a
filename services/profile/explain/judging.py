"""What stands in the way of one moment, by the very functions that decide. Pure.

Verdict, conditions and value are all as of one time and one moment, so they cannot disagree.
"""

from typing import Final, NamedTuple

from msgspec.structs import replace

from services.profile.arbiter.decide import judge
from services.profile.arbiter.standing import Standing
from services.profile.arbiter.windows import FOREVER
from services.profile.explain.answer import ConditionNow
from services.profile.explain.conditions import asked_of, condition_now
from services.profile.identity import Identity
from services.profile.moments.around import Around
from services.profile.moments.beginning import may_begin
from services.profile.moments.context import MomentContext
from services.profile.moments.deciding import candidate_of
from services.profile.moments.objections import objection
from services.profile.moments.occurring import occurrences
from services.profile.moments.waiting import Waiting
from services.profile.scenarios.book import Book, OnTimer, Scenario

_NEXT: Final = "explain"
"""The cause of a moment that has not come."""
_OF_THE_MOMENT: Final = frozenset(["event", "item", "order", "timer"])
"""Groups of variables that only a moment has."""


class Judged(NamedTuple):
    """blocked_by: None where it would be sent, or depends on what is not known; depends_on: what
    that is; when: None where it was asked already, as the moment began."""

    blocked_by: str | None
    retry_at: int | None
    when: ConditionNow | None
    recheck: ConditionNow | None
    value: float | None
    depends_on: list[str]


class Judge:
    """Judges the moments of one customer by a book."""

    def __init__(self, identity: Identity, book: Book, around: Around, standing: Standing) -> None:
        self._identity = identity
        self._policy = book.policy
        self._around = around
        self._standing = standing

    def to_come(self, scenario: Scenario, now: int) -> Judged:
        """As if its moment came now (epoch ms), whatever it is about."""
        unborn = Waiting(now, scenario.name, _NEXT, now)
        refused = may_begin(self._identity, scenario, now, self._policy)
        covered = self._identity.profile.contact.covered.get(scenario.name)
        asked = self._asked(scenario, unborn, now, _OF_THE_MOMENT, begun=False)
        if refused is not None:
            return asked._replace(
                blocked_by=refused, retry_at=covered if refused == "covered" else None
            )
        return self._arbitrated(scenario, unborn, _NEXT, FOREVER, now, asked)

    def come(
        self, scenario: Scenario, moment: Waiting, known: str, expires_at: int, at: int
    ) -> Judged:
        """A moment that waits or is held, as it will be judged at its time. known: its trigger's
        id."""
        # Where no catalogue answers, of items nothing is known, rather than that there are none.
        missing = frozenset(["event"] if self._around.items else ["event", "item"])
        asked = self._asked(scenario, moment, at, missing, begun=True)
        refused = objection(self._identity, scenario, moment, self._policy, self._around, at)
        if refused in {None, "recheck"}:
            return self._arbitrated(scenario, moment, known, expires_at, at, asked)
        retry_at = self._moved_to(scenario, at) if refused == "moved" else None
        return asked._replace(blocked_by=refused, retry_at=retry_at)

    def _asked(
        self, scenario: Scenario, moment: Waiting, at: int, missing: frozenset[str], *, begun: bool
    ) -> Judged:
        """What the scenario's own expressions say."""
        context = MomentContext(self._identity.profile, self._around, at, waiting=moment)
        # A timer has no fact at which `when` could have been asked.
        again = not begun or isinstance(scenario.on, OnTimer)
        when = condition_now(scenario.when, context, missing) if again else None
        recheck = condition_now(scenario.recheck, context, missing)
        open_ones = [each for each in (when, recheck) if each is not None and each.holds is None]
        depends = {group for each in open_ones for group in each.depends_on}
        value = None
        if scenario.value is not None:
            of_value = asked_of(scenario.value.variables, missing)
            depends.update(of_value)
            value = None if of_value else scenario.value.amount(context)
        blocked = None
        if when is not None and when.holds is False:
            blocked = "when"
        elif recheck is not None and recheck.holds is False:
            blocked = "recheck"
        return Judged(blocked, None, when, recheck, value, sorted(depends))

    def _arbitrated(
        self,
        scenario: Scenario,
        moment: Waiting,
        known: str,
        expires_at: int,
        at: int,
        asked: Judged,
    ) -> Judged:
        """What the arbiter says, unless a condition already does."""
        if asked.blocked_by is not None:
            return asked
        candidate = candidate_of(
            self._identity, scenario, moment, known, expires_at, self._around, at
        )
        # What a moment is worth that nobody knows is no reason against it.
        decision = judge(self._standing, replace(candidate, value=asked.value), self._policy, at)
        if decision.verdict == "send":
            return asked
        return asked._replace(blocked_by=decision.reason, retry_at=decision.retry_at)

    def _moved_to(self, scenario: Scenario, after: int) -> int | None:
        found = occurrences(self._identity.profile, scenario, self._around, after)
        return found[0].due if found else None
