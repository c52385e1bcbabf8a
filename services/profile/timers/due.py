"""What a named timer says, and what it may ask. Beside the modules of each timer. Pure."""

from collections.abc import Mapping
from typing import NamedTuple, TypeAlias
from zoneinfo import ZoneInfo

from msgspec import Struct

from services.profile.component import Component
from services.profile.moments.around import Around
from services.profile.scenarios.book import OnTimer


class Due(Struct, frozen=True):
    """One occurrence. at: epoch ms; which: names it for good, so that whatever is reckoned again
    says the same (a year, an item and when it was bought); facts: what else is known of it."""

    at: int
    which: str
    subject: str = ""
    item: str = ""
    facts: Mapping[str, str | int | float] = {}


class Asked(NamedTuple):
    """Whose next occurrence strictly after after_ms is asked for. zone: the customer's."""

    timer: OnTimer
    component: Component
    zone: ZoneInfo
    around: Around
    after_ms: int


Dues: TypeAlias = list[Due]
"""What occurs first, all at one time; empty where nothing is to come."""


def earliest(found: list[Due]) -> Dues:
    """Those that share the earliest time, in the order of their names."""
    first = min((due.at for due in found), default=0)
    return sorted((due for due in found if due.at == first), key=lambda due: due.which)
