"""The customer's birthday: trait `birthday`, an ISO date, or --MM-DD where the year is unknown."""

import re
from typing import Final

from services.profile.timers.due import Asked, Due, Dues
from services.profile.timers.local_time import next_yearly

_DATE: Final = re.compile(r"(\d{4}|-)-(\d\d)-(\d\d)(?!\d)")
_EARLIEST: Final = 1900


def birthday(asked: Asked) -> Dues:
    """Each year. facts: years, how old the customer becomes, where the year is known."""
    timer, component, zone, _, after = asked
    trait = component.traits.get("birthday")
    found = _DATE.match(trait.value) if trait and isinstance(trait.value, str) else None
    if found is None:
        return []
    year, month, day = found[1], int(found[2]), int(found[3])
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return []
    at, meant = next_yearly(month, day, timer.days, timer.at_minute, zone, after)
    known = year != "-" and _EARLIEST <= int(year) < meant.year
    return [Due(at, str(meant.year), facts={"years": meant.year - int(year)} if known else {})]
