"""A dry run from beginning to end: what there is to replay, the replay, the report."""

import os
import time
from pathlib import Path

from msgspec import Struct

from services.profile.dry_run.counting import DAY_MS, total
from services.profile.dry_run.pool import replay_all
from services.profile.dry_run.replaying import File, Setup, judged_by
from services.profile.dry_run.report import Effects, Window, effects
from services.profile.dry_run.sources import History, Source, catalogue_changes, find
from services.profile.rebuild.pool import Progress, processes
from services.profile.scenarios.holding import content_of
from shared.errors import NotFound
from shared.settings import Settings


class Asked(Struct, frozen=True, kw_only=True):
    """What to try. only: that scenario of the draft, among those of `running`; "" for the draft
    alone; segments_within_s: how long after an event segments and stage are asked at most."""

    draft: Path
    running: Path
    only: str
    days: int
    source: Source | None
    segments_within_s: int = 0


class DryRun(Struct, frozen=True, kw_only=True):
    """What the command prints beside the effects. events: records of the whole log; customers:
    known ones; events_per_cpu_second: of this process and the others, their start included."""

    source: Source
    window: Window
    book: str
    events: int
    customers: int
    malformed: int
    reactions_left_out: int
    waiting_at_end: int
    held_at_end: int
    processes: int
    events_per_second: float
    events_per_cpu_second: float
    effects: Effects


async def prepared(settings: Settings, asked: Asked) -> Setup:
    """Raises InvalidInput (BookRefused) before anything is read, NotFound where nothing is."""
    draft = _file(asked.draft)
    running = _file(asked.running) if asked.only else None
    judged_by(draft, running, asked.only)
    history = await find(settings, asked.source)
    if not history.newest:
        raise NotFound("there is no fact to replay: neither the archive nor the log has any")
    window = Window(from_ms=history.newest - asked.days * DAY_MS, until_ms=history.newest)
    return Setup(
        settings=settings,
        history=history,
        window=window,
        draft=draft,
        running=running,
        only=asked.only,
        changes=await catalogue_changes(settings),
        assess_within_ms=asked.segments_within_s * 1000,
    )


async def dry_run(setup: Setup, progress: Progress) -> DryRun:
    """Replays and counts. Raises DryRunFailed, InvalidInput."""
    book = setup.book()
    history: History = setup.history
    began = time.monotonic()
    found = await replay_all(setup, progress)
    took = time.monotonic() - began
    events, customers = (sum(getattr(one, of) for one in found) for of in ("events", "customers"))
    drafted = [setup.only] if setup.only else [scenario.name for scenario in book.scenarios]
    return DryRun(
        source=history.source,
        window=setup.window,
        book=book.version,
        events=events,
        customers=customers,
        malformed=sum(one.malformed for one in found),
        reactions_left_out=sum(one.reactions_left_out for one in found),
        waiting_at_end=sum(one.waiting for one in found),
        held_at_end=sum(one.held for one in found),
        processes=processes(len(history.ends)),
        events_per_second=round(events / took, 1),
        events_per_cpu_second=round(events / sum(os.times()[:4]), 1),
        effects=effects(
            total(one.after for one in found),
            total(one.before for one in found),
            window=setup.window,
            customers=customers,
            names=[scenario.name for scenario in book.scenarios],
            drafted=frozenset(drafted),
            catalogue=bool(setup.changes),
        ),
    )


def _file(path: Path) -> File:
    return File(path.name, content_of(path))
