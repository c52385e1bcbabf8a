"""Terms of an item that its fields may carry: when in the year, from which age, and what it earns.

Between `ItemChanged.fields` and the catalogue's columns, which availability.py and objective.py
compute with. A term that is there and cannot be read counts as the strictest one, so a mistake
withholds an item instead of offering it where it must not be. Pure.
"""

import math
from typing import Any, Final

from shared.catalogue import ItemChanged

ALL_YEAR: Final = 0
SEASONS: Final = {"spring": 12, "summer": 13, "autumn": 14, "fall": 14, "winter": 15}
"""Bits of the seasons; those of the months are 0 (January) to 11."""
NEVER: Final = 1 << 16
"""Set where a season is named that nobody knows: in season nowhere but by what else is named."""
NO_AGE: Final = 0
ANY_AGE_TOO_LOW: Final = 1_000
UNKNOWN: Final = -1


def seasons_of(item: ItemChanged) -> int:
    """Bits of the months and seasons in field `seasons` (a list or a text with `|` or `,`):
    names of seasons, numbers of months from 1; ALL_YEAR where it has none."""
    value = item.fields.get("seasons")
    if value is None or value in ("", []):
        return ALL_YEAR
    bits = 0
    for entry in _entries(value):
        text = str(entry).strip().lower()
        if text in SEASONS:
            bits |= 1 << SEASONS[text]
        elif text.isdecimal() and len(text) <= 2 and 1 <= int(text) <= 12:
            bits |= 1 << (int(text) - 1)
        else:
            bits |= NEVER
    return bits


def _entries(value: Any) -> list[Any]:
    if isinstance(value, str):
        return value.replace(",", "|").split("|")
    return list(value) if isinstance(value, list | tuple) else [value]


def min_age_of(item: ItemChanged) -> int:
    """The age in years from which the item may be offered, in field `min_age`."""
    value = item.fields.get("min_age")
    if value is None or value == "":
        return NO_AGE
    number = _number(value)
    return ANY_AGE_TOO_LOW if number is None else int(min(max(number, 0.0), ANY_AGE_TOO_LOW))


def margin_of(item: ItemChanged) -> int:
    """What one piece earns in minor units: field `margin`, else price less field `cost`; at least
    0, and UNKNOWN where neither says it."""
    margin = _number(item.fields.get("margin"))
    if margin is None:
        cost = _number(item.fields.get("cost"))
        if cost is None or item.price is None:
            return UNKNOWN
        margin = item.price - cost
    return int(min(max(margin, 0.0), 1e15))


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return None if math.isnan(number) else number
