"""How counts by day and week lie in a packed state: one table of half bytes, and offers. Pure.

Part of `state_format`; docs/adr/0009 says why.
"""

from itertools import accumulate, chain, islice
from operator import sub
from typing import Final, Protocol

from services.profile.columns import Column, pack_halves, unpack_halves
from services.profile.component import DAY_MS, Component
from services.profile.shown import Shown
from shared.profile import View

_flatten: Final = chain.from_iterable


class PackedCounts(Protocol):
    """The fields of a packed state that hold them; days: how many there are; values: index into
    AFFINITY_FIELDS → how many; names: all values, field by field; halves, wide: the table;
    shown, clicked: as in `pack_shown`."""

    days: int
    values: dict[int, int]
    names: list[str]
    halves: bytes
    wide: Column
    shown: dict[int, dict[int, int]]
    clicked: dict[str, int]


def pack_counts(component: Component) -> tuple[dict[int, int], list[str], bytes, Column]:
    """The counts by day and by week as one table: how far each day is from the one before, how
    many entries each row has, their keys (codes, then ages in weeks), their counts.
    """
    today = component.last_at // DAY_MS
    days = sorted(component.days)
    dated = [component.days[day] for day in days]
    fields = component.affinities.values()
    weekly = [row for values in fields for row in values.values()]
    table = list(map(sub, days, [today, *days]))
    if table:
        table[0] = -table[0]
    table += map(len, dated)
    table += map(len, weekly)
    table += _flatten(dated)
    table += map((today // 7).__sub__, _flatten(weekly))
    table += _flatten(map(dict.values, dated))
    table += _flatten(map(dict.values, weekly))
    counts = {index: len(values) for index, values in component.affinities.items()}
    return counts, list(_flatten(fields)), *pack_halves(table)


def unpack_counts(
    packed: PackedCounts, today: int
) -> tuple[dict[int, dict[int, int]], dict[int, dict[str, dict[int, int]]]]:
    """The counts by day, and by field, value and week. today: day of the newest event."""
    table = unpack_halves(packed.halves, packed.wide)
    days = list(islice(table, packed.days))
    if days:
        days[0] = today - days[0]
    lengths = list(islice(table, packed.days + len(packed.names)))
    codes = list(islice(table, sum(lengths[: packed.days])))
    weeks = map((today // 7).__sub__, list(islice(table, sum(lengths[packed.days :]))))
    entries = zip(chain(codes, weeks), table, strict=False)
    rows = [dict(islice(entries, length)) for length in lengths]
    values = zip(packed.names, rows[packed.days :], strict=True)
    return dict(zip(accumulate(days), rows, strict=False)), {
        index: dict(islice(values, count)) for index, count in packed.values.items()
    }


def pack_shown(shown: Shown, view: View) -> tuple[dict[int, dict[int, int]], dict[str, int]]:
    """Offers shown in vain: what the view does not say of them."""
    seen = [shown[item] for item, _, _ in view.shown]
    clicked = {item: max(days) for item, days in shown.items() if not any(days.values())}
    return {place: days for place, days in enumerate(seen) if len(days) > 1}, clicked


def unpack_shown(packed: PackedCounts, view: View, today: int) -> Shown:
    """All of them."""
    shown = {
        item: packed.shown.get(place) or {today - age: times}
        for place, (item, times, age) in enumerate(view.shown)
    }
    return shown | {item: {day: 0} for item, day in packed.clicked.items()}
