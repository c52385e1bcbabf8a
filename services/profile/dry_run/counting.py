"""What a dry run counts, from the verdicts alone. Pure.

A moment is a trigger's first verdict: however often it is held and asked again, it counts once. The
verdicts that the log really holds are counted by the same code, so that before and after compare.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec import field as struct_field

from services.profile.contact import Contact
from shared import events as facts

DAY_MS: Final = 86_400_000
WEEK_MS: Final = 7 * DAY_MS
BUDGET: Final = "budget"
NO_STAGE: Final = "none"

Counts = dict[str, int]


class Moments(Struct):
    """One scenario's. days: date in the shop's zone → moments, messages sent; customers: who had a
    moment, reached: who was sent something; held, suppressed: verdicts by reason; passed_over:
    moments dropped in silence, by reason; segments, stages: moments by where the customer was."""

    days: dict[str, list[int]] = struct_field(default_factory=dict)
    customers: int = 0
    reached: int = 0
    held: Counts = struct_field(default_factory=dict)
    suppressed: Counts = struct_field(default_factory=dict)
    passed_over: Counts = struct_field(default_factory=dict)
    channels: Counts = struct_field(default_factory=dict)
    segments: Counts = struct_field(default_factory=dict)
    stages: Counts = struct_field(default_factory=dict)


class Fatigue(Struct):
    """Messages over all scenarios. most_in_week: to one customer within any 7 days; at_budget:
    customers for whom a budget held or suppressed something; with_moments: who had any moment."""

    sent: int = 0
    reached: int = 0
    most_in_week: int = 0
    at_budget: int = 0
    with_moments: int = 0


class Tally(Struct):
    """All of it. overlap: scenario → other → its moments with one of the other's for the same
    customer within 24 h, and within 7 d, before or after."""

    scenarios: dict[str, Moments] = struct_field(default_factory=dict)
    overlap: dict[str, dict[str, list[int]]] = struct_field(default_factory=dict)
    fatigue: Fatigue = struct_field(default_factory=Fatigue)


@dataclass(slots=True)
class _Customer:
    """moments: scenario → times; sent: all times, in order; reached: scenarios that spoke."""

    moments: dict[str, list[int]] = field(default_factory=dict)
    sent: list[int] = field(default_factory=list)
    reached: set[str] = field(default_factory=set)
    at_budget: bool = False


class Counting:
    """Counts the verdicts of one partition: all of a customer's lie in one."""

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._scenarios: dict[str, Moments] = {}
        self._customers: dict[str, _Customer] = {}
        self._dates: dict[int, str] = {}

    def decided(self, key: str, fact: facts.MessageDecided, contact: Contact) -> None:
        """One verdict, each fact once; contact: the customer's when it was made."""
        found = self._scenarios.setdefault(fact.scenario, Moments())
        customer = self._customers.setdefault(key, _Customer())
        day = found.days.setdefault(self._date(fact.occurred_at), [0, 0])
        if fact.attempt == 1:
            day[0] += 1
            insort(customer.moments.setdefault(fact.scenario, []), fact.occurred_at)
            for segment in contact.segments:
                _count(found.segments, segment)
            _count(found.stages, contact.stage or NO_STAGE)
        if fact.verdict == "send":
            day[1] += 1
            insort(customer.sent, fact.occurred_at)
            customer.reached.add(fact.scenario)
            _count(found.channels, fact.channel)
        else:
            _count(found.held if fact.verdict == "hold" else found.suppressed, fact.reason)
            customer.at_budget = customer.at_budget or fact.reason == BUDGET

    def passed_over(self, scenario: str, reason: str, times: int = 1) -> None:
        """Moments that went by without a verdict."""
        found = self._scenarios.setdefault(scenario, Moments())
        _count(found.passed_over, reason, times)

    def tally(self) -> Tally:
        """What it came to."""
        tally = Tally(scenarios=self._scenarios)
        fatigue = tally.fatigue
        for moments in self._scenarios.values():
            moments.customers = moments.reached = 0
        for customer in self._customers.values():
            for scenario in customer.moments:
                self._scenarios[scenario].customers += 1
            for scenario in customer.reached:
                self._scenarios[scenario].reached += 1
            _overlap(tally.overlap, customer.moments)
            fatigue.sent += len(customer.sent)
            fatigue.reached += bool(customer.sent)
            fatigue.at_budget += customer.at_budget
            fatigue.with_moments += bool(customer.moments)
            fatigue.most_in_week = max(fatigue.most_in_week, _most_in_week(customer.sent))
        return tally

    def _date(self, at: int) -> str:
        # Zones change their offset on the quarter of an hour at the finest.
        quarter = at // 900_000
        date = self._dates.get(quarter)
        if date is None:
            day = datetime.fromtimestamp(quarter * 900, self._zone)
            date = self._dates[quarter] = day.date().isoformat()
        return date


def total(tallies: Iterable[Tally]) -> Tally:
    """The sum over partitions."""
    result = Tally()
    for tally in tallies:
        for name, moments in tally.scenarios.items():
            _add_moments(result.scenarios.setdefault(name, Moments()), moments)
        for name, others in tally.overlap.items():
            mine = result.overlap.setdefault(name, {})
            for other, counts in others.items():
                _add_lists(mine, {other: counts})
        mine_fatigue, fatigue = result.fatigue, tally.fatigue
        mine_fatigue.sent += fatigue.sent
        mine_fatigue.reached += fatigue.reached
        mine_fatigue.at_budget += fatigue.at_budget
        mine_fatigue.with_moments += fatigue.with_moments
        mine_fatigue.most_in_week = max(mine_fatigue.most_in_week, fatigue.most_in_week)
    return result


def _add_moments(into: Moments, other: Moments) -> None:
    into.customers += other.customers
    into.reached += other.reached
    _add_lists(into.days, other.days)
    for name in ("held", "suppressed", "passed_over", "channels", "segments", "stages"):
        for key, count in getattr(other, name).items():
            _count(getattr(into, name), key, count)


def _add_lists(into: dict[str, list[int]], other: dict[str, list[int]]) -> None:
    for key, counts in other.items():
        standing = into.setdefault(key, [0] * len(counts))
        into[key] = [one + more for one, more in zip(standing, counts, strict=True)]


def _count(counts: Counts, key: str, times: int = 1) -> None:
    counts[key] = counts.get(key, 0) + times


def _overlap(overlap: dict[str, dict[str, list[int]]], moments: dict[str, list[int]]) -> None:
    for name, times in moments.items():
        for other, others in moments.items():
            if other != name:
                counts = overlap.setdefault(name, {}).setdefault(other, [0, 0])
                for at in times:
                    apart = _nearest(others, at)
                    counts[0] += apart <= DAY_MS
                    counts[1] += apart <= WEEK_MS


def _nearest(times: list[int], at: int) -> int:
    """How far the nearest of these (sorted, at least one) is."""
    place = bisect_left(times, at)
    return min(abs(at - near) for near in times[max(0, place - 1) : place + 1])


def _most_in_week(times: list[int]) -> int:
    """The most in any 7 days; times: sorted."""
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - WEEK_MS:
            first += 1
        most = max(most, last - first + 1)
    return most
