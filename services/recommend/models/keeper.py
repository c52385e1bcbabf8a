"""Takes up the newest promoted model while requests go on: loaded beside them, swapped in at once.

A background loop of each recommend process, beside those of live.py. A version that cannot be read
or is damaged is passed over and counted, and the one in force goes on.
"""

import asyncio
import logging
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from services.recommend.candidates.sessions import SessionIndex
from services.recommend.knowledge import Knowledge
from services.recommend.learning import Learned
from services.recommend.live import LiveTail, keep_going, stopped
from services.recommend.metrics import RecommendMetrics
from services.recommend.models.taking import UNTRAINED, Taken, take_up
from shared.errors import AttuneError, InvalidInput, LogUnavailable, NotFound
from shared.models.store import ModelStore, Promotion
from shared.settings import Settings

NICE: Final = 10
"""Of the thread that loads: what requests leave of the core is enough for it."""

_logger = logging.getLogger(__name__)


class ModelKeeper:
    """Takes up the newest promoted version. A new one is loaded in a thread and follows the log
    from where training stopped; only when it has caught up does it take the old one's place, in
    one step between two requests."""

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
        self._store: ModelStore | None = None
        self._version: str | None = None
        self._refused: str | None = None
        self._task: asyncio.Task[None] | None = None
        self.tail: LiveTail | None = None
        self._loading = ThreadPoolExecutor(1, "loading", step_back)

    async def run(self) -> None:
        """Begin with what is there and look for newer ones until cancelled."""
        try:
            await self._begin()
            await keep_going("model keeper", self._watch)
        finally:
            await stopped(self._task)

    async def _begin(self) -> None:
        empty = Learned(self._knowledge.stock.numbers, SessionIndex(capacity=self._capacity))
        taken = Taken(UNTRAINED, empty)
        try:
            taken = await self._newest_whole() or taken
        except AttuneError as error:
            _logger.warning("starting without a model", extra={"code": error.code})
        self.tail = LiveTail(self._settings, taken.learned, taken.positions)
        self._task = asyncio.create_task(self.tail.run())
        self._put_in_force(taken)

    async def _newest_whole(self) -> Taken | None:
        """Of what was promoted the newest that can be taken up; the newest of all, where that is
        another one, is not tried again. Raises Unavailable."""
        promoted = [one.version for one in await asyncio.to_thread(self._promotions)]
        for version in reversed(promoted):
            try:
                taken = await self._loaded(version)
            except (InvalidInput, NotFound):
                continue
            self._refused = promoted[-1] if version != promoted[-1] else None
            return taken
        self._refused = promoted[-1] if promoted else None
        return None

    def _promotions(self) -> list[Promotion]:
        return self._opened().promotions()

    def _current(self) -> str | None:
        return self._opened().current()

    def _opened(self) -> ModelStore:
        if self._store is None:
            self._store = ModelStore.open(self._settings.models)
        return self._store

    async def _loaded(self, version: str) -> Taken:
        """Raises InvalidInput, NotFound (then `version` is not tried again) or Unavailable."""
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._loading, self._load, version
            )
        except AttuneError as error:
            if error.status < 500:
                self._refused = version
            self._metrics.refused_model()
            _logger.warning("model not taken up", extra={"version": version, "error": str(error)})
            raise

    def _load(self, version: str) -> Taken:
        loaded = self._opened().load(version)
        return take_up(loaded, self._knowledge.stock.numbers, self._capacity)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._poll_s)
            version = await asyncio.to_thread(self._current)
            if version is None or version in {self._version, self._refused}:
                continue
            await self._swap(version)

    async def _swap(self, version: str) -> None:
        taken = await self._loaded(version)
        tail = LiveTail(self._settings, taken.learned, taken.positions)
        task = asyncio.create_task(tail.run())
        try:
            await tail.caught_up.wait()
        except BaseException:
            await stopped(task)
            raise
        before, old = self.tail, self._task
        self._task, self.tail = task, tail
        self._put_in_force(taken)
        await stopped(old)
        if before is not None:
            await asyncio.to_thread(before.learned.let_go)

    def _put_in_force(self, taken: Taken) -> None:
        taken.put_in(self._knowledge)
        name = taken.name
        if name is not UNTRAINED:
            self._version = name.version
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


def step_back() -> None:
    """Lower this thread's priority, where threads have one of their own."""
    if sys.platform == "linux":
        os.nice(NICE)
