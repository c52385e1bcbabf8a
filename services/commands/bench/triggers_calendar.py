"""What a fixed cap by calendar days would have done with the same moments. Pure, seeded.

The same people (`services.simulator.people`) take the messages. Moments go out as they come, up
to so many a customer and calendar day of the shop; at night they wait for the morning, because
common tools can do that too. The cap is the smallest that can reach the volume to compare with,
and moments are left out evenly down to that volume.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.simulator.people import (
    MORNING_HOUR,
    Message,
    Mood,
    Person,
    at_night,
    draw,
    person_of,
    take,
)
from services.simulator.world import Effects

HIGHEST_CAP: Final = 6
STEPS: Final = 12


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment that might have been spoken of. free: not bound by caps."""

    id: str
    customer: str
    scenario: str
    channel: str
    at: int
    free: bool = False


@dataclass(frozen=True, slots=True)
class Calendar:
    """What became of it under a cap of so many a day: messages sent, unsubscribes."""

    cap: int
    sent: int
    unsubscribed: int


def people_of(seed: int, customers: int) -> dict[str, Person]:
    """The people of a seed, by their ids."""
    return {person.id: person for person in (person_of(seed, n) for n in range(customers))}


def with_volume(
    moments: Sequence[Moment],
    volume: int,
    people: dict[str, Person],
    effects: Effects,
    seed: int,
    zone: str,
) -> Calendar:
    """The calendar cap whose volume comes nearest."""
    ordered = sorted(moments, key=lambda each: (each.at, each.id))
    best = Calendar(0, 0, 0)
    for cap in range(1, HIGHEST_CAP + 1):
        tried = play(ordered, cap, 1.0, people, effects, seed, zone)
        if abs(tried.sent - volume) < abs(best.sent - volume):
            best = tried
        if tried.sent >= volume:
            break
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        share = (low + high) / 2
        tried = play(ordered, cap, share, people, effects, seed, zone)
        if abs(tried.sent - volume) < abs(best.sent - volume):
            best = tried
        low, high = (low, share) if tried.sent > volume else (share, high)
    return best


def play(
    ordered: Sequence[Moment],
    cap: int,
    share: float,
    people: dict[str, Person],
    effects: Effects,
    seed: int,
    zone: str,
) -> Calendar:
    """Sends a share of the moments, in their order, under the cap."""
    moods: dict[str, Mood] = {}
    days: Counter[tuple[str, int]] = Counter()
    sent = unsubscribed = 0
    for moment in ordered:
        person = people.get(moment.customer)
        if person is None:
            continue
        mood = moods.setdefault(moment.customer, Mood())
        if moment.channel in mood.left:
            continue
        at = moment.at
        if not moment.free:
            if draw(seed, moment.customer, moment.id, "left out") >= share:
                continue
            at = _by_day(person, at)
            day = (moment.customer, _day(at, zone))
            if days[day] >= cap:
                continue
            days[day] += 1
        message = Message(moment.id, moment.scenario, moment.channel, at)
        sent += 1
        unsubscribed += take(person, mood, message, effects, seed).unsubscribed is not None
    return Calendar(cap, sent, unsubscribed)


def _day(at: int, zone: str) -> int:
    return datetime.fromtimestamp(at / 1000, ZoneInfo(zone)).toordinal()


def _by_day(person: Person, at: int) -> int:
    if not at_night(person, at):
        return at
    local = datetime.fromtimestamp(at / 1000, ZoneInfo(person.zone or "UTC"))
    morning = local.replace(hour=MORNING_HOUR, minute=0, second=0, microsecond=0)
    if morning <= local:
        morning += timedelta(days=1)
    return int(morning.timestamp() * 1000)
