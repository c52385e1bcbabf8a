"""What noting asks a book again and again, worked out once for each book. Pure."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from services.profile.moments.occurring import ACTIVITY
from services.profile.scenarios.book import Book, OnTimer, Scenario
from services.profile.scenarios.variable import Variable
from services.profile.scenarios.variables import VARIABLES
from services.profile.timers.next_times import MOVED_BY
from shared.events import (
    FACT_TYPES,
    ArmAssigned,
    Fact,
    MessageDecided,
    ProfileAbsorbed,
    SegmentEntered,
    SegmentLeft,
    StageChanged,
)


class Plan(NamedTuple):
    """What there is to do with facts of one type. scenarios: those on it; moved: those on timers
    that it can bring forward."""

    scenarios: tuple[Scenario, ...]
    moved: tuple[Scenario, ...]


class Age(NamedTuple):
    """A variable that grows with time alone, such as `profile.days_since_order`. unit_ms: what it
    counts; turns: the ages, in ms, at which rules that ask for it are to be asked again."""

    variable: Variable
    unit_ms: int
    turns: tuple[int, ...]


class BookIndex(NamedTuple):
    """plans: for the types of facts with which there is anything to do; idle: scenarios on timers
    that every fact puts off; settled: types of facts that turn no rule of segments and stages;
    silences: how long after a customer's last event rules are asked again; ages: the same by how
    long ago something certain was."""

    plans: dict[type[Fact], Plan]
    idle: tuple[Scenario, ...]
    settled: frozenset[type[Fact]]
    silences: tuple[int, ...]
    ages: tuple[Age, ...]


_UNITS: Final = {"profile.days_since_": 86_400_000, "profile.hours_since_": 3_600_000}
_last: list[tuple[Book, BookIndex]] = []
"""Of the book that was asked about last: there is one for millions of facts."""


def index_of(book: Book) -> BookIndex:
    """The index of a book."""
    if not _last or _last[0][0] is not book:
        _last[:] = [(book, _make(book))]
    return _last[0][1]


def _make(book: Book) -> BookIndex:
    moved: dict[str, list[Scenario]] = {}
    idle = []
    for scenario in book.on_timers:
        timer = scenario.on.timer if isinstance(scenario.on, OnTimer) else ""
        if timer in ACTIVITY:
            idle.append(scenario)
        for name in MOVED_BY.get(timer, ()):
            moved.setdefault(name, []).append(scenario)
    plans = {
        kind: Plan(tuple(book.by_fact.get(name, ())), tuple(moved.get(name, ())))
        for name, kind in FACT_TYPES.items()
    }
    always = (MessageDecided, ProfileAbsorbed)
    used = {kind: plan for kind, plan in plans.items() if kind in always or plan != ((), ())}
    rules = (*book.segments, *book.stages)
    silences = {after for rule in rules for after in rule.reassess_ms}
    return BookIndex(used, tuple(idle), _settled(book), tuple(sorted(silences)), tuple(_ages(book)))


def _ages(book: Book) -> Iterator[Age]:
    turns: dict[str, set[int]] = {}
    for rule in (*book.segments, *book.stages):
        for variable in rule.when.variables:
            turns.setdefault(variable, set()).update(rule.reassess_ms)
    for variable, afters in sorted(turns.items()):
        for prefix, unit in _UNITS.items():
            if variable.startswith(prefix) and afters:
                yield Age(VARIABLES[variable], unit, tuple(sorted(afters)))


def _settled(book: Book) -> frozenset[type[Fact]]:
    """No rule asks for the stage, and only stages may ask for segments (the book is checked)."""
    of_segments = any("profile.segments" in stage.when.variables for stage in book.stages)
    never: list[type[Fact]] = [StageChanged, ArmAssigned]
    return frozenset(never if of_segments else [*never, SegmentEntered, SegmentLeft])
