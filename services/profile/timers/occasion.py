"""Saved occasions of the customer's relatives and friends: each its own subject, by its name."""

import hashlib
from typing import Final

from services.profile.timers.due import Asked, Due, Dues, earliest
from services.profile.timers.local_time import next_yearly

_LONGEST_NAME: Final = 128


def occasion(asked: Asked) -> Dues:
    """Each year. facts: relation, where it was said."""
    timer, component, zone, _, after = asked
    found = []
    for name, saved in component.occasions.items():
        at, meant = next_yearly(saved.month, saved.day, timer.days, timer.at_minute, zone, after)
        facts = {"relation": saved.relation} if saved.relation else {}
        found.append(Due(at, f"{meant.year}:{_short(name)}", subject=name, facts=facts))
    return earliest(found)


def _short(name: str) -> str:
    """As it stands, or a digest where a trigger's cause would grow too long."""
    if len(name) <= _LONGEST_NAME:
        return name
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
