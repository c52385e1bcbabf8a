"""The text of one cell becomes a value of a fact: numbers, money, times. Pure.

`row` builds one reader a column. Cells repeat (dates, prices, ids), so readers remember.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

from services.ingest.clock_skew import LATEST
from services.ingest.imports.mapping import Column, Mapping
from services.ingest.money import to_minor

Value: TypeAlias = str | int | float
Reader: TypeAlias = Callable[[str], Value]
"""Raises ValueError (EventRefused counts, too, see `row`) where the cell cannot be read."""

REMEMBERED: Final = 65_536
_WHOLE: Final = re.compile(r"([+-]?\d+)(?:\.0*)?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_EPOCH_UNITS: Final = {"epoch_s": 1000, "epoch_ms": 1}


def reader(name: str, column: Column, mapping: Mapping) -> Reader:
    """How cells of this column are read for the field `name`."""
    read = _reader(name, column, mapping)
    if column.type == "text":
        return read
    return lru_cache(maxsize=REMEMBERED)(read)


def _reader(name: str, column: Column, mapping: Mapping) -> Reader:
    if column.type == "integer":
        return _integer_id if name in _IDS else read_integer
    if column.type == "number":
        return read_number
    if column.type == "money":
        currency = None if column.unit == "minor" else mapping.currency
        return lambda text: read_money(text, currency)
    if column.type == "time":
        zone = ZoneInfo(mapping.time_zone)
        return lambda text: read_time(text, column.format, zone)
    if column.case == "upper":
        return str.upper
    return str.lower if column.case == "lower" else str


_IDS: Final = frozenset({"customer", "anonymous", "item", "order"})


def _integer_id(text: str) -> str:
    return str(read_integer(text))


def read_integer(text: str) -> int:
    """A whole number; `17850.0`, as spreadsheets write it, is one. Raises ValueError."""
    found = _WHOLE.fullmatch(text)
    if found is None or len(text) > 32:
        raise ValueError("not a whole number")
    return int(found[1])


def read_number(text: str) -> float:
    """A finite number. Raises ValueError."""
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    return value


def read_money(text: str, currency: str | None) -> int:
    """Minor units, rounded to the nearest, ties to even; may be negative (a filter's matter).

    currency None: the text holds minor units. Raises ValueError or EventRefused.
    """
    if currency is None:
        return read_integer(text)
    if text.startswith("-"):
        return -to_minor(text[1:], currency, "money")
    return to_minor(text, currency, "money")


def read_time(text: str, form: str, zone: ZoneInfo) -> int:
    """Epoch ms. A time without an offset is local time of `zone`.

    Skipped by the change to summer time: read with the offset before it, so it moves forward.
    Occurring twice: the first of the two. Raises ValueError: unreadable, before 1970, after 2100.
    """
    if form in _EPOCH_UNITS:
        moment = round(read_number(text) * _EPOCH_UNITS[form])
    else:
        when = datetime.fromisoformat(text) if form == "iso" else datetime.strptime(text, form)  # noqa: DTZ007  (the zone comes next)
        if when.tzinfo is None:
            when = when.replace(tzinfo=zone, fold=0)
        moment = (when - _EPOCH) // _MILLISECOND
    if not 0 <= moment <= LATEST:
        raise ValueError("before 1970 or after 2100")
    return moment


def as_text(value: Any) -> str:
    """A JSON value as the text that a cell of a CSV file would hold."""
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)
