"""The view: what recommend reads, derived from the state. Pure, and the only place that decays.

An affinity's weight is the sum over weeks of weight x 2^(-age in weeks / HALF_LIFE_WEEKS), in
thousandths, taken in sorted order so that the same state gives the same bytes.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from services.profile.component import DAY_MS, WEEKS_KEPT, Component
from services.profile.fold import SESSION_IDLE_MS, consent_key
from services.profile.registers import Touch, Trait
from services.profile.state import Profile
from shared.profile import AFFINITY_FIELDS, Interest, Session, View, days_ago

HALF_LIFE_WEEKS: Final = 4
TOP_VALUES: Final = 5
RECENT_SHOWN: Final = 12
PROFILING: Final = ("profiling", "personalisation", "personalization")
_PROFILING_KEYS: Final = tuple(
    consent_key(purpose, channel) for purpose in PROFILING for channel in (None, "onsite")
)
"""Purposes whose denial means what pausing means: offers by the request alone."""

_ISO_YEAR: Final = re.compile(r"((?:19|20)\d\d)-")
_OLDEST: Final = 130
_DECAY: Final = [round(1000 * 0.5 ** (age / HALF_LIFE_WEEKS)) for age in range(WEEKS_KEPT + 1)]


def project(profile: Profile) -> View:
    """The view of a state."""
    component = profile.component
    touches = profile.trail if profile.owner is not None else component.recent
    clock = component.last_at or profile.active_at
    bought = sorted([(-at, item) for item, at in component.bought.items()])
    again = component.again
    return View(
        clock=clock,
        events=component.events,
        owner=profile.owner,
        session=running_session(touches),
        recent=[Interest(touch.at, touch.kind, touch.item) for touch in touches[:RECENT_SHOWN]],
        cart=cart_items(component),
        bought=[item for _, item in bought],
        dismissed=sorted(item for item, mark in component.dismissed.items() if mark.value),
        affinities={
            name: top
            for index, name in enumerate(AFFINITY_FIELDS)
            if (top := affinity(component, index))
        },
        orders=component.orders,
        paused=bool(component.paused.value) or denies_profiling(component),
        bought_days=[days_ago(clock, -at) for at, _ in bought],
        bought_times=[1 + again.get(item, 0) for _, item in bought] if again else [],
        shown=shown_lately(component),
        country=country(component.traits.get("country")),
        born=born(component.traits),
        segments=sorted(profile.contact.segments),
        stage=profile.contact.stage,
    )


def denies_profiling(component: Component) -> bool:
    """Whether a denial of profiling stands, on all channels or on the shop's own pages."""
    consents = component.consents
    return any(key in consents and consents[key].denies for key in _PROFILING_KEYS)


def running_session(touches: list[Touch]) -> Session:
    """The newest touches without a gap of more than 30 minutes; items oldest first, each once."""
    if not touches:
        return Session()
    items: dict[str, None] = {}
    started = touches[0].at
    for touch in touches:
        if started - touch.at > SESSION_IDLE_MS:
            break
        started = touch.at
        items.setdefault(touch.item)
    return Session(started, touches[0].at, list(items)[::-1])


def cart_items(component: Component) -> list[str]:
    """What lies in the cart, newest first."""
    present = [(mark.at, item) for item, mark in component.cart.items() if mark.quantity]
    return [item for _, item in sorted(present, reverse=True)]


def shown_lately(component: Component) -> list[tuple[str, int, int]]:
    """Offers that came to nothing: item, times, days since; the latest first."""
    today = component.last_at // DAY_MS
    counted = [
        (today - max(days), item, times)
        for item, days in component.shown.items()
        if (times := sum(days.values()))
    ]
    return [(item, times, age) for age, item, times in sorted(counted)]


def country(trait: Trait | None) -> str | None:
    """The country as it was told, if that is a text."""
    return trait.value if trait is not None and isinstance(trait.value, str) else None


def born(traits: Mapping[str, Trait]) -> int | None:
    """The year of birth: of the trait `birthday` (ISO 8601), else reckoned from `age` and the year
    it was told in. None where it makes no sense."""
    birthday, age = traits.get("birthday"), traits.get("age")
    if birthday is not None and (found := _ISO_YEAR.match(str(birthday.value))):
        return int(found[1])
    if age is None or isinstance(age.value, str) or not 0 <= age.value <= _OLDEST:
        return None
    return datetime.fromtimestamp(age.at / 1000, UTC).year - int(age.value)


def affinity(component: Component, index: int) -> list[tuple[str, int]]:
    """The best values of one field with their weights in thousandths, best first."""
    now, decay = component.last_at // DAY_MS // 7, _DECAY
    scored = []
    # Plain loops: this runs for each value of each identity that is written.
    for value, weeks in component.affinities.get(index, {}).items():
        score = 0
        for week, weight in weeks.items():
            score -= weight * decay[now - week]
        if score < 0:
            scored.append((score, value))
    scored.sort()
    return [(value, -score) for score, value in scored[:TOP_VALUES]]
