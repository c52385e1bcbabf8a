"""What was learned of customers and items, of the promoted model version: the parts `lifetime` and
`intervals` of the model store.

A background task of the profile process: looks for another version every few seconds and reads it
in a thread, off the loop. Whoever predicts holds the bound methods, and what they answer from is
exchanged in one step. Without a model store, or with one that is damaged, profile works on with
what it has.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Final, NamedTuple

import numpy as np

from services.profile import metrics
from services.profile.component import Component
from services.profile.prediction import Lifetime, Prediction
from shared.errors import AttuneError, InvalidInput
from shared.lifetime import PART as LIFETIME
from shared.lifetime import Lifetimes
from shared.models.store import ModelStore, Version

POLL_S: Final = 10.0
INTERVALS: Final = "intervals"
HABIT_SHARE: Final = 0.2
"""Of an item's buyers so many must have come back for it before anybody is reminded of it."""

log = logging.getLogger(__name__)


class Taken(NamedTuple):
    """refill_days: by item, what lies between two orders of it by one customer, typically."""

    version: str = ""
    lifetime: Lifetime = Lifetime()
    refill_days: Mapping[str, float] = {}


class Learned:
    """What the version in force has learned; `in_force` is exchanged whole."""

    def __init__(self, models: str) -> None:
        self._models = models
        self._store: ModelStore | None = None
        self._seen = ""
        self.in_force = Taken()

    def predict(self, component: Component, now: int) -> Prediction | None:
        """What is expected of a customer as of now (epoch ms); None for who never ordered."""
        return self.in_force.lifetime.predict(component, now)

    def refill_days(self, item: str) -> float | None:
        """After how many days an item is bought again, None where it is no habit."""
        return self.in_force.refill_days.get(item)

    async def run(self) -> None:
        """Looks for another version until cancelled."""
        troubled = False
        while True:
            try:
                await self.look()
                troubled = False
            except AttuneError as error:
                if not troubled:
                    log.warning("no predictions are learned", extra={"code": error.code})
                troubled = True
            await asyncio.sleep(POLL_S)

    async def look(self) -> None:
        """Takes up the promoted version, unless it was looked at before. Raises AttuneError where
        the store does not answer or the version is damaged."""
        version = await asyncio.to_thread(self._current)
        if version is None or version == self._seen:
            return
        try:
            self.in_force = await asyncio.to_thread(self._load, version)
        except AttuneError as error:
            if error.status < 500:
                self._seen = version
                metrics.MODELS.labels("refused").inc()
            raise
        self._seen = version
        metrics.MODELS.labels("taken").inc()
        log.info("predictions are of another model", extra={"version": version})

    def _current(self) -> str | None:
        return self._opened().current()

    def _opened(self) -> ModelStore:
        if self._store is None:
            self._store = ModelStore.open(self._models)
        return self._store

    def _load(self, version: str) -> Taken:
        return taken(self._opened().load(version, only={LIFETIME, INTERVALS}))


def taken(version: Version) -> Taken:
    """What a version says; of a part that it lacks, nothing. Raises InvalidInput."""
    metadata, items, parts = version
    try:
        models = Lifetimes.of(parts[LIFETIME].facts) if LIFETIME in parts else Lifetimes()
        days: dict[str, float] = {}
        if INTERVALS in parts:
            arrays = parts[INTERVALS].arrays
            habits = np.flatnonzero(arrays["share"].astype(np.float64) >= HABIT_SHARE)
            numbers, typical = arrays["items"][habits], arrays["days"][habits]
            days = {
                items[number]: float(typical[place])
                for place, number in enumerate(numbers.astype(np.int64).tolist())
            }
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise InvalidInput(f"the model {metadata.version} is damaged: {error!r}") from None
    return Taken(metadata.version, Lifetime(models), days)
