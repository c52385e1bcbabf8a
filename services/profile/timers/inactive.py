"""When a customer was last seen so long ago."""

from services.profile.timers.due import Asked, Due, Dues
from services.profile.timers.local_time import not_before


def inactive(asked: Asked) -> Dues:
    """Once after each time the customer was seen, exactly then, or at the next such time of day
    where one is given."""
    timer, component, zone, _, after = asked
    if not component.last_at or not timer.after_ms:
        return []
    at = component.last_at + timer.after_ms
    if timer.at_minute >= 0:
        at = not_before(at, timer.at_minute, zone)
    return [Due(at, str(component.last_at))] if at > after else []
