"""The methods that `attune evaluate next-item` compares. Pure; items are numbers, 0 is none."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from services.recommend.arrays import NO_NUMBERS, NO_SCORES, Numbers, Scores
from services.recommend.candidates.sessions import NeighbourSettings, SessionIndex
from services.recommend.numbers import NO_ITEM
from services.recommend.training.build import choose_settings, predict

Found: TypeAlias = tuple[Numbers, Scores]


@dataclass(frozen=True, slots=True)
class NoSettings:
    """Of a method that has nothing to choose."""


@dataclass(frozen=True, slots=True)
class Task:
    """index: training sessions; counts: clicks by item; held_out: where settings are chosen."""

    index: SessionIndex
    counts: Numbers
    held_out: Sequence[Sequence[int]]
    k: int
    keep_current: bool


class Method(ABC):
    """Ranks items after the clicks seen so far (oldest first, each item once)."""

    def __init__(self, task: Task, settings: Any) -> None:
        self.task = task
        self.settings = settings

    @classmethod
    def choose(cls, task: Task) -> Any:
        """The settings, a dataclass, by what does best on the held-out sessions."""
        del task
        return NoSettings()

    @abstractmethod
    def predict(self, seen: list[int]) -> Found:
        """Items and scores, in no order."""

    def allowed(self, found: Found, current: int) -> Found:
        """Without the current item, unless the task keeps it."""
        items, scores = found
        if self.task.keep_current:
            return found
        kept = items != current
        return items[kept], scores[kept]


class Popularity(Method):
    """The most clicked items, whatever was seen."""

    def __init__(self, task: Task, settings: NoSettings) -> None:
        super().__init__(task, settings)
        order = np.lexsort((np.arange(len(task.counts)), -task.counts))[: task.k + 1]
        order = order[task.counts[order] > 0]
        self._found = order, task.counts[order].astype(np.float64)

    def predict(self, seen: list[int]) -> Found:
        """Always the same, but for the current item."""
        return self.allowed(self._found, seen[-1])


class ItemToItem(Method):
    """Cosine of the sessions two items share, for the current item alone."""

    def __init__(self, task: Task, settings: NoSettings) -> None:
        super().__init__(task, settings)
        self._known: dict[int, Found] = {}

    def predict(self, seen: list[int]) -> Found:
        """Partners of the newest item."""
        item = seen[-1]
        found = self._known.get(item)
        if found is None:
            found = self._known[item] = self._partners(item)
        return self.allowed(found, item)

    def _partners(self, item: int) -> Found:
        index = self.task.index
        sessions = index.newest_with(item, index.capacity)
        if not len(sessions):
            return NO_NUMBERS, NO_SCORES
        shared = np.bincount(index.rows[sessions % index.capacity].ravel())
        shared[NO_ITEM] = 0
        items = np.flatnonzero(shared)
        norm = np.sqrt(index.frequency[items] * float(index.frequency[item]))
        return items, shared[items] / norm


class SessionNeighbours(Method):
    """VMIS-kNN as recommend uses it (candidates/sessions.py)."""

    @classmethod
    def choose(cls, task: Task) -> NeighbourSettings:
        """By MRR on the held-out sessions, over the grid of training."""
        chosen, _ = choose_settings(
            task.index, task.held_out, k=task.k, keep_current=task.keep_current
        )
        return chosen

    def predict(self, seen: list[int]) -> Found:
        """What the neighbours looked at."""
        task = self.task
        return predict(task.index, seen, self.settings, keep_current=task.keep_current)


METHODS: Final[dict[str, type[Method]]] = {
    "popularity": Popularity,
    "item-to-item": ItemToItem,
    "vmis": SessionNeighbours,
}
SHIPPED: Final = "vmis"
"""What recommend ranks a session with."""
