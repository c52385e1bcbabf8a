"""Interactions and fields from files, for `attune evaluate top-n`.

Tab-separated with a header, plain or gzip: `user item rating time`; `item` or `user` and any number
of field columns, several values joined by `|`.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from services.recommend.evaluation.text_files import open_text
from shared.errors import InvalidInput

COLUMNS: Final = ("user", "item", "rating", "time")


class Rating(NamedTuple):
    """One row of a file of interactions."""

    user: str
    item: str
    rating: float
    time: float


def read_ratings(path: Path) -> list[Rating]:
    """The file's rows in its order. Raises InvalidInput where it cannot be read or is empty."""
    found = []
    header, rows = _rows(path)
    missing = [name for name in COLUMNS if name not in header]
    if missing:
        raise InvalidInput(f"{path}: no column {missing[0]!r} in the header")
    user, item, rating, time = (header.index(name) for name in COLUMNS)
    for number, row in rows:
        try:
            one = Rating(row[user], row[item], float(row[rating]), float(row[time]))
        except ValueError:
            raise InvalidInput(f"{path}, line {number}: rating or time is not a number") from None
        if not (math.isfinite(one.rating) and abs(one.time) < 1e15):
            raise InvalidInput(f"{path}, line {number}: rating or time is out of range")
        found.append(one)
    if not found:
        raise InvalidInput(f"{path}: no interactions")
    return found


def read_labels(path: Path, key: str) -> dict[str, list[str]]:
    """Labels `field=value` by what the column `key` names. Raises InvalidInput."""
    header, rows = _rows(path)
    if header[0] != key:
        raise InvalidInput(f"{path}: the first column is {header[0]!r}, not {key!r}")
    found = {}
    for _, row in rows:
        fields = zip(header[1:], row[1:], strict=False)
        values = [(name, value) for name, text in fields for value in text.split("|") if value]
        found[row[0]] = list(dict.fromkeys(f"{name}={value}" for name, value in values))
    return found


def _rows(path: Path) -> tuple[list[str], Iterator[tuple[int, Sequence[str]]]]:
    lines = _lines(path)
    header = next(lines, (1, [""]))[1]
    return list(header), _checked(path, len(header), lines)


def _checked(
    path: Path, width: int, lines: Iterator[tuple[int, Sequence[str]]]
) -> Iterator[tuple[int, Sequence[str]]]:
    for number, row in lines:
        if len(row) < width:
            raise InvalidInput(f"{path}, line {number}: too few columns")
        yield number, row


def _lines(path: Path) -> Iterator[tuple[int, Sequence[str]]]:
    with open_text(path) as text:
        for number, line in enumerate(text, start=1):
            row = line.rstrip("\r\n")
            if row:
                yield number, row.split("\t")
