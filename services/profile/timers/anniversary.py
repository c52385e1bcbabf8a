"""Anniversaries of a customer's first order."""

from services.profile.timers.due import Asked, Due, Dues
from services.profile.timers.local_time import local_day, next_yearly


def anniversary(asked: Asked) -> Dues:
    """Each year from the first after it on. facts: years since."""
    timer, component, zone, _, after = asked
    if not component.first_order_at:
        return []
    first = local_day(component.first_order_at, zone)
    at, meant = next_yearly(first.month, first.day, timer.days, timer.at_minute, zone, after)
    while meant.year <= first.year:
        at, meant = next_yearly(first.month, first.day, timer.days, timer.at_minute, zone, at)
    return [Due(at, str(meant.year), facts={"years": meant.year - first.year})]
