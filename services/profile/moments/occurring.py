"""Named timers as waiting moments: which occurrence comes next for a customer. Pure."""

from typing import Final

from services.profile.moments.around import Around
from services.profile.moments.waiting import Waiting, timer_cause
from services.profile.scenarios.book import OnTimer, Scenario
from services.profile.state import Profile
from services.profile.timers.due import Due
from services.profile.timers.next_times import MOVED_BY, TIMERS, next_times

ACTIVITY: Final = frozenset(TIMERS) - frozenset(MOVED_BY)
"""Timers that every fact puts off: not moved then, but asked again when they are due."""


def occurrences(profile: Profile, scenario: Scenario, around: Around, after: int) -> list[Waiting]:
    """The first occurrences that are due after `after` (epoch ms), all of one time; or none."""
    timer = _timer(scenario)
    return [
        Waiting(
            due=due.at + scenario.after_ms,
            scenario=scenario.name,
            cause=timer_cause(timer.timer, due.which),
            at=due.at,
            subject=due.subject,
            item=due.item,
        )
        for due in next_times(timer, profile, around, after - scenario.after_ms)
    ]


def occurrence(profile: Profile, scenario: Scenario, around: Around, moment: Waiting) -> Due | None:
    """What is known of one occurrence; None where it is no more so."""
    timer = _timer(scenario)
    for due in next_times(timer, profile, around, moment.at - 1):
        if due.at == moment.at and timer_cause(timer.timer, due.which) == moment.cause:
            return due
    return None


def _timer(scenario: Scenario) -> OnTimer:
    if not isinstance(scenario.on, OnTimer):
        raise TypeError(f"{scenario.name} is on no timer")
    return scenario.on
