"""Click sessions from a file, for `attune evaluate next-item`.

Tab-separated, header `SessionId ItemId Time` with Time in seconds, plain or gzip.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.recommend.evaluation.text_files import open_text
from shared.errors import InvalidInput

COLUMNS: Final = ("SessionId", "ItemId", "Time")


@dataclass(frozen=True, slots=True)
class ClickSession:
    """One session: its items in order of time, and the time of its last click in seconds."""

    items: tuple[str, ...]
    last: float


def read_sessions(path: Path) -> list[ClickSession]:
    """The file's sessions by the time they ended, equal times by id. Raises InvalidInput."""
    clicks: dict[str, list[tuple[float, int, str]]] = {}
    for line, (session, item, time) in enumerate(_rows(path), start=2):
        try:
            at = float(time)
        except ValueError:
            at = math.nan
        if not math.isfinite(at):
            raise InvalidInput(f"{path}, line {line}: Time is not a number")
        clicks.setdefault(session, []).append((at, line, item))
    sessions = []
    for session, found in clicks.items():
        found.sort()
        items = tuple(item for _, _, item in found)
        sessions.append((found[-1][0], session, ClickSession(items, found[-1][0])))
    sessions.sort(key=lambda entry: entry[:2])
    return [entry[2] for entry in sessions]


def _rows(path: Path) -> Iterator[tuple[str, str, str]]:
    with open_text(path) as text:
        header = text.readline().rstrip("\r\n").split("\t")
        missing = [name for name in COLUMNS if name not in header]
        if missing:
            raise InvalidInput(f"{path}: no column {missing[0]!r} in the header")
        places = [header.index(name) for name in COLUMNS]
        for number, line in enumerate(text, start=2):
            fields = line.rstrip("\r\n").split("\t")
            if fields == [""]:
                continue
            if len(fields) < len(header):
                raise InvalidInput(f"{path}, line {number}: too few columns")
            yield fields[places[0]], fields[places[1]], fields[places[2]]
