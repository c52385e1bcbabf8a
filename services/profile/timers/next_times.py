"""The named timers by name, and when each comes next for a customer. Pure.

Noting asks it whenever a fact may have moved a timer, and once more when one was due: what follows
from a profile is reckoned anew, never kept up.
"""

from collections.abc import Callable, Mapping
from typing import Final

from services.profile.arbiter.quiet import zone_of
from services.profile.moments.around import Around
from services.profile.scenarios.book import OnTimer
from services.profile.state import Profile
from services.profile.timers.anniversary import anniversary
from services.profile.timers.birthday import birthday
from services.profile.timers.due import Asked, Dues
from services.profile.timers.expected import churn_risk, next_purchase
from services.profile.timers.inactive import inactive
from services.profile.timers.occasion import occasion
from services.profile.timers.replenishment import replenishment

MOST_AT_ONCE: Final = 8
"""Subjects of one timer that are due at one time; of more the first by name."""
TIMERS: Final[Mapping[str, Callable[[Asked], Dues]]] = {
    "birthday": birthday,
    "occasion": occasion,
    "anniversary": anniversary,
    "replenishment": replenishment,
    "next_purchase": next_purchase,
    "churn_risk": churn_risk,
    "inactive": inactive,
}
_CLOCK: Final = frozenset({"traits_set", "identified", "profile_absorbed"})
"""Facts that may tell another time zone or birthday, or bring all of a history along."""
_ORDERS: Final = _CLOCK | {"purchased"}
MOVED_BY: Final[Mapping[str, frozenset[str]]] = {
    "birthday": _CLOCK,
    "occasion": _CLOCK | {"occasion_saved"},
    "anniversary": _ORDERS,
    "replenishment": _ORDERS,
    "next_purchase": _ORDERS,
    "churn_risk": _ORDERS,
}
"""Types of facts after which a timer may come at another time than before. `inactive` is moved by
every fact, but only to later: it is enough to ask again when it is due, and where none stands."""


def next_times(timer: OnTimer, profile: Profile, around: Around, after_ms: int) -> Dues:
    """What comes first strictly after a moment (epoch ms): at most MOST_AT_ONCE of one time, in the
    order of their names; empty where nothing is to come. Raises KeyError for a timer without that
    name."""
    component = profile.component
    trait = component.traits.get("timezone")
    zone = zone_of(trait and trait.value, around.zone)
    return TIMERS[timer.timer](Asked(timer, component, zone, around, after_ms))[:MOST_AT_ONCE]
