"""Offers shown lately that came to nothing: a part of the component. Pure.

Invariant: `Shown` is sums by day above a cleared day, itself a maximum, so the order of arrival
does not matter and two add up (the bound of SHOWN_KEPT aside, see docs/state.md).
"""

from typing import Final, TypeAlias

SHOWN_DAYS: Final = 14
SHOWN_KEPT: Final = 32
"""Items whose offers are counted; beyond it the one shown or clicked longest ago is dropped."""

Shown: TypeAlias = dict[str, dict[int, int]]
"""Item → day → times shown. 0 times: its offer was clicked that day, and only later days count."""


def note_shown(shown: Shown, item: str, day: int, times: int, past: int) -> None:
    """Adds offers of an item shown on a day, or with 0 times a click.

    past: the last day that no longer counts, by its age or because the item was bought on it.
    """
    if day <= past:
        return
    days = shown.get(item)
    if days is None:
        shown[item] = {day: times}
        while len(shown) > SHOWN_KEPT:
            del shown[min([(max(days), item) for item, days in shown.items()])[1]]
        return
    if any(not count and day <= clicked for clicked, count in days.items()):
        return
    if times:
        days[day] = days.get(day, 0) + times
    else:
        for old in [old for old in days if old <= day]:
            del days[old]
        days[day] = 0


def forget_shown(shown: Shown, item: str, past: int) -> None:
    """Drops an item's days up to `past`."""
    days = shown[item]
    for old in [old for old in days if old <= past]:
        del days[old]
    # As if the old had come late: nothing is left of it, not even an empty place.
    if not days:
        del shown[item]
