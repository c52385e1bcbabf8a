"""Takes up the newest promoted model while requests go on: loaded beside them, swapped in at once.

A background loop of each recommend process, beside those of live.py.
"""

import asyncio
import logging
from pathlib import Path
from typing import Final

from services.recommend.candidates.sessions import SessionIndex
from services.recommend.knowledge import Knowledge
from services.recommend.learning import Learned
from services.recommend.live import LiveTail, keep_going, stopped
from services.recommend.metrics import RecommendMetrics
from services.recommend.models.folder import ModelFolder
from services.recommend.models.snapshot import Metadata, restore
from services.recommend.ranking import LinearRanker
from shared.decisions import ModelName
from shared.errors import AttuneError, LogUnavailable
from shared.settings import Settings

UNTRAINED: Final = ModelName(name="linear", version="untrained")

_logger = logging.getLogger(__name__)


class ModelKeeper:
    """Takes up the newest promoted snapshot. A new one is loaded in a thread and follows the log
    from where training stopped; only when it has caught up does it take the old one's place, in
    one assignment between two requests."""

    def __init__(
        self,
        settings: Settings,
        knowledge: Knowledge,
        metrics: RecommendMetrics,
        *,
        poll_s: float,
        capacity: int,
    ) -> None:
        self._settings = settings
        self._knowledge = knowledge
        self._metrics = metrics
        self._poll_s = poll_s
        self._capacity = capacity
        self._folder = ModelFolder(Path(settings.models))
        self._version: str | None = None
        self._task: asyncio.Task[None] | None = None
        self.tail: LiveTail | None = None

    async def run(self) -> None:
        """Begin with what is there and look for newer ones until cancelled."""
        try:
            await self._begin()
            await keep_going("model keeper", self._watch)
        finally:
            await stopped(self._task)

    async def _begin(self) -> None:
        learned = Learned(self._knowledge.stock.numbers, SessionIndex(capacity=self._capacity))
        metadata: Metadata | None = None
        try:
            version = await asyncio.to_thread(self._folder.current)
            if version is not None:
                learned, metadata = await asyncio.to_thread(self._load, version)
        except AttuneError as error:
            _logger.warning("starting without a model", extra={"code": error.code})
        positions = {} if metadata is None else metadata.positions
        self.tail = LiveTail(self._settings, learned, positions)
        self._task = asyncio.create_task(self.tail.run())
        self._put_in_force(learned, metadata)

    def _load(self, version: str) -> tuple[Learned, Metadata]:
        snapshot, metadata = self._folder.load(version)
        return restore(snapshot, self._knowledge.stock.numbers, self._capacity), metadata

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            version = await asyncio.to_thread(self._folder.current)
            if version is not None and version != self._version:
                await self._swap(version)

    async def _swap(self, version: str) -> None:
        learned, metadata = await asyncio.to_thread(self._load, version)
        tail = LiveTail(self._settings, learned, metadata.positions)
        task = asyncio.create_task(tail.run())
        try:
            await tail.caught_up.wait()
        except BaseException:
            await stopped(task)
            raise
        old, self._task, self.tail = self._task, task, tail
        self._put_in_force(learned, metadata)
        await stopped(old)

    def _put_in_force(self, learned: Learned, metadata: Metadata | None) -> None:
        name, knowledge = UNTRAINED, self._knowledge
        if metadata is not None:
            name = ModelName(
                name=metadata.name, version=metadata.version, trained_at=metadata.trained_at
            )
            knowledge.neighbours = metadata.neighbour_settings()
            self._version = metadata.version
        knowledge.sessions, knowledge.pairs = learned.sessions, learned.pairs
        knowledge.ranker = LinearRanker(name)
        self._metrics.model_in_force(name.name, name.version)
        _logger.info("model in force", extra={"model": name.name, "version": name.version})

    async def caught_up(self) -> None:
        """Wait until the live tail has caught up for the first time."""
        while self.tail is None:  # noqa: ASYNC110  (only for as long as a model is loaded)
            await asyncio.sleep(0.1)
        await self.tail.caught_up.wait()

    async def check(self) -> None:
        """Raises LogUnavailable until the live tail has caught up (for readiness)."""
        if self.tail is None:
            raise LogUnavailable("the live tail has not begun")
        await self.tail.check()
