"""A process of the pool: replays one partition after another, and writes nothing.

It reads the scenarios from their text itself, since compiled expressions do not travel.
"""

import asyncio
from contextlib import suppress
from typing import Any

from msgspec import Struct

from services.profile.dry_run.drafting import merge
from services.profile.dry_run.items_then import items_then
from services.profile.dry_run.playing import PartitionPlay, Replayed
from services.profile.dry_run.report import Window
from services.profile.dry_run.sources import History, partition_records
from services.profile.learned import Learned
from services.profile.moments.around import Around
from services.profile.rebuild.process import begun
from services.profile.scenarios.book import Book
from services.profile.scenarios.reading import read
from shared.errors import AttuneError
from shared.settings import Settings


class File(Struct, frozen=True):
    """A scenarios file: its name, for messages, and its content."""

    name: str
    text: bytes

    def book(self) -> Book:
        """Raises BookRefused."""
        return read(self.text, self.name)


class Setup(Struct, frozen=True, kw_only=True):
    """What every process needs to know. running, only: one scenario of the draft among the running
    ones, else None and ""; changes: messages of `catalogue`; assess_within_ms: as in playing."""

    settings: Settings
    history: History
    window: Window
    draft: File
    running: File | None
    only: str
    changes: list[bytes]
    assess_within_ms: int

    def book(self) -> Book:
        """The book to judge by. Raises BookRefused, InvalidInput."""
        return judged_by(self.draft, self.running, self.only)


def judged_by(draft: File, running: File | None, only: str) -> Book:
    """The draft's book, or one scenario of it among the running ones. Raises BookRefused,
    InvalidInput."""
    drafted = draft.book()
    return drafted if running is None else merge(running.book(), drafted, only)


class _Process:
    """What this process works with, made when it starts."""

    runner: asyncio.Runner
    setup: Setup
    book: Book
    learned: Learned
    counter: Any


def begin(setup: Setup, counter: Any) -> None:
    """Starts a process of the pool."""
    _Process.runner = begun()
    _Process.setup, _Process.counter = setup, counter
    _Process.book = setup.book()
    _Process.learned = Learned(setup.settings.models)
    with suppress(AttuneError):
        # Without a model there are no predictions, for the draft as for the running scenarios.
        _Process.runner.run(_Process.learned.look())


def replay(partition: int) -> Replayed | str:
    """Replays a partition; what went wrong comes back as words, for errors do not travel."""
    try:
        return _Process.runner.run(_replay(partition))
    except AttuneError as error:
        return str(error) or error.code


async def _replay(partition: int) -> Replayed:
    setup, book = _Process.setup, _Process.book
    items, moves = items_then(setup.changes, setup.window.from_ms)
    around = Around(
        items=items,
        zone=book.policy.zone,
        predict=_Process.learned.predict,
        refill_days=_Process.learned.refill_days,
    )
    play = PartitionPlay(
        partition,
        book,
        around,
        setup.window,
        moves,
        assess_within_ms=setup.assess_within_ms,
    )
    history = setup.history
    end = history.ends[partition]
    async for records in partition_records(setup.settings, history.source, partition, end):
        play.feed(records)
        with _Process.counter.get_lock():
            _Process.counter.value += len(records)
    return play.finish()
