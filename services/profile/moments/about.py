"""What a trigger says its moment is about: item and prices, order, occasion, and the like. Pure."""

from typing import Final, TypeAlias

from services.profile.moments.around import Around
from services.profile.moments.occurring import occurrence
from services.profile.moments.waiting import Waiting, before_of
from services.profile.scenarios.book import OnFact, OnTimer, Scenario
from services.profile.state import Profile
from shared import events as facts

About: TypeAlias = dict[str, str | int | float]
_SUBJECTS: Final = {
    "segment_entered": "segment",
    "segment_left": "segment",
    "stage_changed": "stage",
    "occasion_saved": "occasion",
}


def about(
    profile: Profile,
    scenario: Scenario | None,
    moment: Waiting,
    items: list[str],
    around: Around,
) -> About:
    """By name: item, price, previous_price, currency, title; order; occasion, relation, years;
    segment, stage; timer and which occurrence of it. Only what is known. Money is minor units."""
    said: About = {}
    if scenario is None:
        return said
    item = moment.item if moment.item in items or not items else items[0]
    if item:
        said["item"] = item
        said |= _of_item(item, moment, around)
    if isinstance(scenario.on, OnFact) and moment.subject:
        said[_subject_name(scenario.on.fact)] = moment.subject
    if isinstance(scenario.on, OnTimer):
        said |= _of_timer(profile, scenario, scenario.on, moment, around)
    return said


def _of_item(item: str, moment: Waiting, around: Around) -> About:
    said: About = {}
    known = around.items.get(item)
    if known is not None:
        found = {"title": known.title, "price": known.price, "currency": known.currency}
        said |= {name: value for name, value in found.items() if value}
    price, _ = before_of(moment.cause)
    if price is not None:
        said["previous_price"] = price
    return said


def _subject_name(fact: str) -> str:
    kind = facts.FACT_TYPES.get(fact)
    if kind is not None and issubclass(kind, facts.OrderFact):
        return "order"
    return _SUBJECTS.get(fact, "subject")


def _of_timer(
    profile: Profile, scenario: Scenario, timer: OnTimer, moment: Waiting, around: Around
) -> About:
    said: About = {"timer": timer.timer}
    due = occurrence(profile, scenario, around, moment)
    if due is not None:
        said |= {"which": due.which, **due.facts}
        if due.subject and due.subject != due.item:
            said["occasion"] = due.subject
    return said
