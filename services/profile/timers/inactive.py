"""When a customer was last seen so long ago."""

from services.profile.timers.due import Asked, Due, Dues
from services.profile.timers.local_time import not_before


def inactive(asked: Asked) -> Dues:
    """Once after each time the customer was seen, exactly then, or at the next such time of day
    where one is given."""
    timer, component, zone, _, after = asked
    # a state from before it was kept, or of who never did anything, has other times alone
    seen = component.seen_at or component.last_at
    if not seen or not timer.after_ms:
        return []
    at = seen + timer.after_ms
    if timer.at_minute >= 0:
        at = not_before(at, timer.at_minute, zone)
    return [Due(at, str(seen))] if at > after else []
