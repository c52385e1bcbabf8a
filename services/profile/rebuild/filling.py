"""One partition of the log, or of the archive and then the log, into a new generation.

Runs in processes of its own, each with one partition at a time: memory is bounded by what that
partition folds into. Folds first and writes then, one write an identity, through the ProfileStore.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from services.profile.items.interest_store import InterestStore
from services.profile.moments.rules import Rules
from services.profile.rebuild import spool
from services.profile.rebuild.folding import PartitionFold
from services.profile.rebuild.process import begun
from services.profile.rebuild.rules import standing_rules
from services.profile.rebuild.store import GenerationFiller
from services.profile.store import BUCKETS_KEPT, ProfileStore
from services.profile.store_values import DueTimer, ItemBatch
from shared.archive import ArchiveReader
from shared.bus import Record
from shared.bus_read import RangeReader
from shared.errors import AttuneError
from shared.keys import Keys
from shared.settings import Settings
from shared.store import ServerWatch, open_redis
from shared.topics import EVENTS

CHUNK: Final = 500


@dataclass(frozen=True, slots=True)
class Shadow:
    """The generation being built, and what every process needs to know of it.

    removed: generations that a former run left, whose keys go first; folder: of the spool.
    """

    settings: Settings
    token: str
    incarnation: str
    removed: tuple[str, ...]
    folder: Path

    @property
    def keys(self) -> Keys:
        """Where it lies."""
        return Keys(self.settings.namespace, self.token)


@dataclass(frozen=True, slots=True)
class Part:
    """A partition to fold: its archive up to `archived` (0: none), then the log up to `end`.

    published: up to there live workers have published all that follows from the facts.
    """

    partition: int
    archived: int
    end: int
    published: int


@dataclass(frozen=True, slots=True)
class Filled:
    """What one partition came to. waiting: identities whose outbox a live worker must publish."""

    partition: int
    facts: int
    malformed: int
    identities: int
    first_unpublished: int | None
    waiting: tuple[str, ...]


class Filler:
    """One process's clients. Open with `open`."""

    def __init__(self, shadow: Shadow, redis: Any, log: RangeReader, rules: Rules) -> None:
        self._shadow = shadow
        self._rules = rules
        self._index = InterestStore(redis, shadow.keys)
        self._log = log
        self._store = ProfileStore(redis, shadow.keys, shadow.incarnation)
        self._new = GenerationFiller(redis, shadow.keys)
        namespace = shadow.settings.namespace
        self._old = [GenerationFiller(redis, Keys(namespace, token)) for token in shadow.removed]

    @classmethod
    async def open(cls, stack: AsyncExitStack, shadow: Shadow) -> "Filler":
        """Raises LogUnavailable, BookRefused; a Redis that restarts later is refused, not
        filled on."""
        redis = open_redis(shadow.settings, watch=ServerWatch())
        return cls(
            shadow,
            await stack.enter_async_context(redis),
            await stack.enter_async_context(RangeReader.open(shadow.settings)),
            (await standing_rules(shadow.settings)).rules,
        )

    async def fill(self, part: Part) -> Filled:
        """Folds a partition and writes it. Raises LogTruncated where its records have a gap."""
        now = self._shadow.settings.clock.now_ms()
        folded = PartitionFold(part.published, BUCKETS_KEPT, self._rules, now)
        async for records in self._records(part):
            folded.feed(records)
        folded.note_timers()
        await self._write(part, folded)
        return Filled(
            part.partition,
            folded.facts,
            folded.malformed,
            len(folded.identities),
            folded.first_unpublished,
            tuple(key for key, identity in folded.identities.items() if identity.outbox),
        )

    async def _records(self, part: Part) -> AsyncIterator[Sequence[Record]]:
        settings = self._shadow.settings
        if part.archived:
            for records in ArchiveReader.open(settings, EVENTS).records(part.partition):
                # The archive may have gone on since its ends were read.
                yield [record for record in records if record.offset < part.archived]
        topic = EVENTS.named(settings.namespace)
        async for found in self._log.read((topic, part.partition), part.archived, part.end):
            yield found

    async def _write(self, part: Part, folded: PartitionFold) -> None:
        keys = iter(folded.identities)
        name = f"{part.partition}"
        for old in self._old:
            await old.remove_partition(part.partition)
        while chunk := list(islice(keys, CHUNK)):
            spool.append(self._shadow.folder, name, chunk)
            for old in self._old:
                await old.remove_profiles(chunk)
            await self._store.save([folded.identities[key] for key in chunk])
        timers = folded.timers().items()
        for due in _chunks([DueTimer(part.partition, key, at) for key, at in timers]):
            await self._store.schedule(due)
        for gathered in folded.interest():
            await self._index.add(gathered, self._shadow.settings.clock.now_ms())
        await self._new.fill_buckets(part.partition, folded.buckets())
        if part.end:
            await self._store.count_items([ItemBatch(part.partition, -1, part.end - 1, {})])


def _chunks(timers: list[DueTimer]) -> Iterator[list[DueTimer]]:
    for start in range(0, len(timers), CHUNK):
        yield timers[start : start + CHUNK]


class _Process:
    """This process's loop and clients, made when it starts."""

    runner: asyncio.Runner
    stack: AsyncExitStack
    filler: Filler


def begin(shadow: Shadow) -> None:
    """Starts a process of the pool."""
    _Process.runner = begun()
    _Process.stack = AsyncExitStack()
    _Process.filler = _Process.runner.run(Filler.open(_Process.stack, shadow))


def fill(part: Part) -> Filled | str:
    """Fills one partition; what went wrong comes back as words, for errors do not travel."""
    try:
        return _Process.runner.run(_Process.filler.fill(part))
    except AttuneError as error:
        return str(error) or error.code
