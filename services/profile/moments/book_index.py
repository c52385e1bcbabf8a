"""What noting asks a book again and again, worked out once for each book. Pure."""

from typing import NamedTuple

from services.profile.moments.occurring import ACTIVITY
from services.profile.scenarios.book import Book, OnTimer, Scenario
from services.profile.timers.next_times import MOVED_BY


class BookIndex(NamedTuple):
    """moved_by: fact type → scenarios on timers that it can bring forward; idle: scenarios on
    timers that every fact puts off."""

    moved_by: dict[str, list[Scenario]]
    idle: list[Scenario]


_last: list[tuple[Book, BookIndex]] = []
"""Of the book that was asked about last: there is one for millions of facts."""


def index_of(book: Book) -> BookIndex:
    """The index of a book."""
    if not _last or _last[0][0] is not book:
        _last[:] = [(book, _make(book))]
    return _last[0][1]


def _make(book: Book) -> BookIndex:
    moved_by: dict[str, list[Scenario]] = {}
    idle = []
    for scenario in book.on_timers:
        if not isinstance(scenario.on, OnTimer):
            continue
        if scenario.on.timer in ACTIVITY:
            idle.append(scenario)
        for name in MOVED_BY.get(scenario.on.timer, ()):
            moved_by.setdefault(name, []).append(scenario)
    return BookIndex(moved_by, idle)
