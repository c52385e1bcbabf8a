"""What a dry run says, as keys for scripts and as tables for people. Pure."""

from collections.abc import Iterable, Sequence
from textwrap import fill
from typing import Final

from msgspec import Struct

from services.profile.dry_run.counting import DAY_MS, WEEK_MS, Counts, Fatigue, Moments, Tally

UNKNOWN: Final = (
    "how customers would have taken messages that were never sent: opens, clicks and unsubscribes "
    "that answered other messages are left out, so preferences and fatigue learn nothing here",
    "what customers would have done after such a message: nobody buys, or buys sooner, because of "
    "it",
    "predictions and intervals of replenishment as they would have stood then: today's are used",
)
CATALOGUE_COMPACTED: Final = (
    "changes of items that `catalogue` no longer holds: it keeps the latest of each item for sure"
)
NO_CATALOGUE: Final = (
    "items: no catalogue could be read, so nothing is known of stock and price, and no change of "
    "an item begins anything"
)
TOP: Final = 6
TOP_PAIRS: Final = 20
DAYS_A_LINE: Final = 6
WIDTH: Final = 92


class DayCount(Struct, frozen=True):
    """date: in the shop's zone."""

    date: str
    moments: int
    sent: int


class ScenarioReport(Struct, frozen=True, kw_only=True):
    """One scenario. moments: triggers decided for the first time; sent: of these, messages that
    went out, at once or after a hold; *_per_day: mean over the window."""

    name: str
    draft: bool
    moments: int
    moments_per_day: float
    sent: int
    sent_per_day: float
    customers: int
    reached: int
    held: Counts
    suppressed: Counts
    passed_over: Counts
    channels: Counts
    segments: Counts
    stages: Counts
    per_day: list[DayCount]


class Overlap(Struct, frozen=True, kw_only=True):
    """Moments of `scenario` with one of `other` for the same customer within that time, before or
    after; and their share of all moments of `scenario`."""

    scenario: str
    other: str
    within_24h: int
    within_7d: int
    share_24h: float
    share_7d: float


class Load(Struct, frozen=True, kw_only=True):
    """Messages customers got. per_week: a customer's mean, over all known customers; reached_share:
    of them; at_budget: customers for whom a budget held or suppressed a message, at_budget_share:
    of those who had a moment; most_in_week: to one customer within any 7 days."""

    sent: int
    per_week: float
    reached: int
    reached_share: float
    at_budget: int
    at_budget_share: float
    most_in_week: int


class Fatigues(Struct, frozen=True, kw_only=True):
    """before: what the log says really was sent in the window; after: what the draft would have
    sent in its place."""

    before: Load
    after: Load


class Window(Struct, frozen=True, kw_only=True):
    """What was replayed. from_ms, until_ms: epoch ms; the end is the log's newest fact."""

    from_ms: int
    until_ms: int

    @property
    def days(self) -> float:
        return (self.until_ms - self.from_ms) / DAY_MS


class Effects(Struct, frozen=True, kw_only=True):
    """The report proper."""

    scenarios: list[ScenarioReport]
    overlap: list[Overlap]
    fatigue: Fatigues
    unknown: list[str]


def effects(
    after: Tally,
    before: Tally,
    *,
    window: Window,
    customers: int,
    names: Sequence[str],
    drafted: frozenset[str],
    catalogue: bool,
) -> Effects:
    """The report on these tallies; names: all scenarios of the book, in its order."""
    return Effects(
        scenarios=[
            _scenario(name, after.scenarios.get(name, Moments()), name in drafted, window)
            for name in names
        ],
        overlap=[
            found
            for name in names
            for other in names
            if (found := _overlap(name, other, after)) is not None
        ],
        fatigue=Fatigues(
            before=_load(before.fatigue, customers, window),
            after=_load(after.fatigue, customers, window),
        ),
        unknown=[*UNKNOWN, CATALOGUE_COMPACTED if catalogue else NO_CATALOGUE],
    )


def _scenario(name: str, found: Moments, draft: bool, window: Window) -> ScenarioReport:
    moments, sent = _moments(found), sum(sent for _, sent in found.days.values())
    return ScenarioReport(
        name=name,
        draft=draft,
        moments=moments,
        moments_per_day=round(moments / window.days, 2),
        sent=sent,
        sent_per_day=round(sent / window.days, 2),
        customers=found.customers,
        reached=found.reached,
        held=_largest(found.held),
        suppressed=_largest(found.suppressed),
        passed_over=_largest(found.passed_over),
        channels=_largest(found.channels),
        segments=_largest(found.segments),
        stages=_largest(found.stages),
        per_day=[DayCount(date, *counts) for date, counts in sorted(found.days.items())],
    )


def _moments(found: Moments) -> int:
    return sum(moments for moments, _ in found.days.values())


def _overlap(name: str, other: str, tally: Tally) -> Overlap | None:
    day, week = tally.overlap.get(name, {}).get(other, (0, 0))
    if not week:
        return None
    moments = _moments(tally.scenarios[name])
    return Overlap(
        scenario=name,
        other=other,
        within_24h=day,
        within_7d=week,
        share_24h=round(day / moments, 4),
        share_7d=round(week / moments, 4),
    )


def _load(fatigue: Fatigue, customers: int, window: Window) -> Load:
    weeks = (window.until_ms - window.from_ms) / WEEK_MS
    return Load(
        sent=fatigue.sent,
        per_week=round(fatigue.sent / max(customers, 1) / weeks, 4),
        reached=fatigue.reached,
        reached_share=round(fatigue.reached / max(customers, 1), 4),
        at_budget=fatigue.at_budget,
        at_budget_share=round(fatigue.at_budget / max(fatigue.with_moments, 1), 4),
        most_in_week=fatigue.most_in_week,
    )


def _largest(counts: Counts) -> Counts:
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))


def tables(found: Effects) -> str:
    """The report for people."""
    blocks = [
        _table(
            ("scenario", "moments/day", "sent/day", "customers", "reached", "held", "suppressed"),
            [
                (
                    one.name + (" *" if one.draft else ""),
                    f"{one.moments_per_day:,.1f}",
                    f"{one.sent_per_day:,.1f}",
                    f"{one.customers:,}",
                    f"{one.reached:,}",
                    f"{sum(one.held.values()):,}",
                    f"{sum(one.suppressed.values()):,}",
                )
                for one in found.scenarios
            ],
        ),
        "* of the draft. Moments are counted once, holds and suppressions at each verdict.",
        *(_details(one) for one in found.scenarios if one.moments or one.passed_over),
        _fatigue(found.fatigue.before, found.fatigue.after),
    ]
    if found.overlap:
        blocks.append(_overlaps(found.overlap))
    blocks.append("\n".join(["A dry run cannot know:", *map(_bullet, found.unknown)]))
    return "\n\n".join(blocks)


def _bullet(line: str) -> str:
    return fill(line, WIDTH, initial_indent="- ", subsequent_indent="  ")


def _details(one: ScenarioReport) -> str:
    rows = [
        ("held by", one.held),
        ("suppressed by", one.suppressed),
        ("passed over", one.passed_over),
        ("sent by", one.channels),
        ("segments", one.segments),
        ("stages", one.stages),
    ]
    lines = [f"  {label:<14}{_counts(counts)}" for label, counts in rows if counts]
    if one.per_day:
        each = [f"{day.date[5:]} {day.moments:,}/{day.sent:,}" for day in one.per_day]
        for place in range(0, len(each), DAYS_A_LINE):
            label = "" if place else "moments/sent"
            lines.append(f"  {label:<14}" + "  ".join(each[place : place + DAYS_A_LINE]))
    return "\n".join([one.name, *lines])


def _counts(counts: Counts) -> str:
    shown = [f"{name} {count:,}" for name, count in list(counts.items())[:TOP]]
    rest = len(counts) - TOP
    return ", ".join(shown) + (f", and {rest} more" if rest > 0 else "")


def _fatigue(before: Load, after: Load) -> str:
    rows = [
        (label, shown.format(getattr(before, name)), shown.format(getattr(after, name)))
        for label, name, shown in (
            ("messages", "sent", "{:,}"),
            ("messages a customer per week", "per_week", "{:.3f}"),
            ("customers reached", "reached", "{:,}"),
            ("share of customers reached", "reached_share", "{:.1%}"),
            ("customers at a budget", "at_budget", "{:,}"),
            ("share of those with a moment", "at_budget_share", "{:.1%}"),
            ("most for one customer in 7 days", "most_in_week", "{:,}"),
        )
    ]
    return _table(("what customers get", "in the log", "dry run"), rows)


def _overlaps(overlap: Sequence[Overlap]) -> str:
    return _table(
        ("moments of", "with one of", "within 24 h", "within 7 d"),
        [
            (
                one.scenario,
                one.other,
                f"{one.within_24h:,} ({one.share_24h:.0%})",
                f"{one.within_7d:,} ({one.share_7d:.0%})",
            )
            for one in sorted(overlap, key=lambda one: -one.within_7d)[:TOP_PAIRS]
        ],
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns of text, the numbers (those after the first text ones) to the right."""
    lines = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(heads))]
    numeric = [all(line[place][:1].isdigit() for line in lines[1:]) for place in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(line, widths, numeric, strict=True)
        ).rstrip()
        for line in lines
    )
