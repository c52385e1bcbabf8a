"""When an item that is used up is due again: each item its own subject.

By the customer's own mean interval where the item was bought again, else by what the catalogue
says (`replenish_days`) or what other customers' orders say (the model store's part `intervals`).
"""

from typing import Final

from services.profile.component import DAY_MS, Component
from services.profile.moments.around import Around
from services.profile.timers.due import Asked, Due, Dues, earliest
from services.profile.timers.local_time import on_day

FIELD: Final = "replenish_days"
LONGEST_DAYS: Final = 3_660.0
SHORTEST_DAYS: Final = 1.0
"""Orders of one day are one purchase in parts."""
_WINDOW_MS: Final = 2 * DAY_MS
"""What is due within one local day lies closer than this."""


def replenishment(asked: Asked) -> Dues:
    """Once after each order of the item. facts: days, of the interval."""
    timer, component, zone, around, after = asked
    used_up = []
    for item, at in component.bought.items():
        days = interval_days(component, item, around)
        # cheap first: of two hundred items few are ever due
        if days is not None and (up := at + int(days * DAY_MS)) > after + timer.days * DAY_MS - (
            _WINDOW_MS
        ):
            used_up.append((up, item, at, days))
    found: list[Due] = []
    before = due = 0
    for up, item, at, days in sorted(used_up):
        # what was bought together is mostly used up together
        due = due if up == before else on_day(up, timer.days, timer.at_minute, zone)
        before = up
        if found and due > found[0].at:
            break
        if due > after:
            facts = {"days": round(days, 1)}
            found.append(Due(due, f"{item}@{at}", subject=item, item=item, facts=facts))
    return earliest(found)


def interval_days(component: Component, item: str, around: Around) -> float | None:
    """After how many days the customer needs the item again; None where nothing says so."""
    since, again = component.since.get(item), component.again.get(item, 0)
    if since is not None and again:
        own = (component.bought[item] - since) / again / DAY_MS
        if own >= SHORTEST_DAYS:
            return own
    sold = around.items.get(item)
    said = sold.fields.get(FIELD) if sold else None
    if isinstance(said, int | float) and SHORTEST_DAYS <= said <= LONGEST_DAYS:
        return float(said)
    return around.refill_days(item)
