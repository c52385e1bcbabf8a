"""What the models foretell of a customer: the next order, and that there may be none."""

from typing import Final
from zlib import crc32

from services.profile.component import DAY_MS, Component
from services.profile.timers.due import Asked, Due, Dues
from services.profile.timers.local_time import not_before, on_day

NOTHING_LEARNED: Final = ""
"""Names the time at which is asked again, of who has ordered before anything was learned: it never
stands when it is asked for, so it is moved on and nothing is said."""
ASK_AGAIN_MS: Final = 7 * DAY_MS


def next_purchase(asked: Asked) -> Dues:
    """The day on which the next order is expected, once after each order."""
    timer, component, zone, around, after = asked
    prediction = around.predict(component, after)
    if prediction is None:
        return []
    if prediction.expected_date_of_next_order is None:
        return [] if prediction.fading else [ask_again(component, after)]
    at = on_day(prediction.expected_date_of_next_order, timer.days, timer.at_minute, zone)
    return [Due(at, str(component.orders))] if at > after else []


def churn_risk(asked: Asked) -> Dues:
    """When the chance that the customer has not left for good falls below `below`, once after each
    order, at the first such time of day."""
    timer, component, zone, around, after = asked
    prediction = around.predict(component, after)
    if prediction is None:
        return []
    if prediction.fading is None:
        return [ask_again(component, after)]
    falls = prediction.fading.below(timer.below)
    if falls is None:
        return []
    at = not_before(falls, timer.at_minute, zone)
    return [Due(at, str(component.orders))] if at > after else []


def ask_again(component: Component, after_ms: int) -> Due:
    """A week later, and some part of a day: not everybody who came with one import at once."""
    history = (component.first_at, component.last_at, component.events, component.revenue)
    spread = crc32(repr(history).encode()) % DAY_MS
    return Due(after_ms + ASK_AGAIN_MS + spread, NOTHING_LEARNED)
