"""The moments of a customer that are not over: those that wait, and those that are held. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from services.profile.identity import Identity, trigger_id
from services.profile.moments.around import Around
from services.profile.moments.noting import undecided
from services.profile.moments.occurring import occurrence
from services.profile.moments.waiting import Waiting
from services.profile.scenarios.book import OnTimer, Scenario


class Open(NamedTuple):
    """A moment that is not over. known: its trigger's id; attempt: of the verdict to come; due: of
    that verdict."""

    state: str
    moment: Waiting
    known: str
    attempt: int
    expires_at: int
    due: int


def open_moments(
    identity: Identity, scenario: Scenario, around: Around, now: int
) -> Iterator[Open]:
    """What waits for a scenario, and then what is held, each by its time."""
    for moment in _waiting(identity, scenario, around, now):
        known = trigger_id(identity, moment)
        yield Open("waiting", moment, known, 1, moment.due + scenario.life_ms, moment.due)
    holds = identity.profile.contact.holds
    for known, hold in sorted(holds.items(), key=lambda entry: (entry[1].retry_at, entry[0])):
        if hold.scenario == scenario.name:
            moment = Waiting(hold.due, hold.scenario, hold.cause, hold.at, hold.subject, hold.item)
            yield Open("held", moment, known, hold.attempt + 1, hold.expires_at, hold.retry_at)


def _waiting(identity: Identity, scenario: Scenario, around: Around, now: int) -> list[Waiting]:
    """A timer that events put off is only moved when it was due: what it will be moved to is what
    waits."""
    found = sorted(each for each in identity.waiting if each.scenario == scenario.name)
    if not found or not isinstance(scenario.on, OnTimer):
        return found
    if any(occurrence(identity.profile, scenario, around, each) for each in found):
        return found
    since = max(now, found[0].due) - scenario.life_ms
    return undecided(identity, scenario, around, since) or found
