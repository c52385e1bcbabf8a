"""The methods that `attune evaluate next-item` compares. Pure; items are numbers, 0 is none."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import numpy as np

from services.recommend.arrays import NO_NUMBERS, Numbers
from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.candidates.neighbours import next_items, ranked
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.training.build import HeldOut
from services.recommend.training.neighbour_search import (
    BLEND,
    BLEND_DESIGNS,
    VMIS,
    VMIS_DESIGN,
    VSTAN,
    VSTAN_DESIGN,
    Search,
    Space,
    with_current,
)

BUDGET_S: Final = 180.0
"""Seconds of work, as it is counted, that a method's settings are looked for."""


@dataclass(frozen=True, slots=True)
class Task:
    """sessions, index, popular: what is learned from; held_out: where settings are chosen; k: the
    length of a list."""

    sessions: Sequence[Sequence[int]]
    index: SessionIndex
    popular: Numbers
    held_out: Sequence[HeldOut]
    k: int
    keep_current: bool
    seed: int
    say: Callable[[str], None] = field(default=lambda _: None)


class Method(ABC):
    """Ranks items after the clicks seen so far (oldest first, with repeats)."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.settings: dict[str, Any] = {}

    @abstractmethod
    def predict(self, seen: Numbers) -> Numbers:
        """At most k items, best first."""


class Popularity(Method):
    """The most clicked items, whatever was seen."""

    def predict(self, seen: Numbers) -> Numbers:
        """Always the same, but for the current item."""
        first = self.task.popular[: self.task.k + 1]
        if not self.task.keep_current:
            first = first[first != seen[-1]]
        return first[: self.task.k]


class ItemToItem(Method):
    """Cosine of the sessions two items share, for the current item alone: a list an item."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        known = np.flatnonzero(task.index.frequency).tolist()
        self._lists = {item: self._partners(item) for item in known}

    def predict(self, seen: Numbers) -> Numbers:
        """Partners of the newest item."""
        return self._lists.get(int(seen[-1]), NO_NUMBERS)

    def _partners(self, item: int) -> Numbers:
        index = self.task.index
        sessions = index.newest_with(item, index.capacity)
        shared = np.bincount(index.rows[sessions % index.capacity].ravel())
        shared[0] = 0
        if not self.task.keep_current:
            shared[item] = 0
        items = np.flatnonzero(shared)
        norm = np.sqrt(index.frequency[items] * float(index.frequency[item]))
        return ranked(items, shared[items] / norm, self.task.k)


class SessionNeighbours(Method):
    """Through the function that recommend asks (candidates/neighbours.py)."""

    designs: Sequence[NeighbourSettings] = (VMIS_DESIGN,)
    space: Space = VMIS
    tail = False
    """Whether what is popular follows where neighbours name fewer than k."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        search = Search(task.held_out, task.k, BUDGET_S)
        chosen = search.choose(*self._searched(), task.seed)
        task.say(f"  {chosen.tried} settings tried, MRR {chosen.mrr:.4f} on what was held out")
        self.settings = asdict(chosen.settings)
        self._limits = chosen.settings.limits()
        self._arrays = task.index.arrays()
        self._popular = task.popular if self.tail else NO_NUMBERS

    def _searched(self) -> tuple[Sequence[NeighbourSettings], Space]:
        """Where nothing weighs it down, the current item counts like any other, or is left out."""
        designs, _ = with_current(self.designs, self.space, keep_current=False)
        return (self.designs if self.task.keep_current else designs), self.space

    def predict(self, seen: Numbers) -> Numbers:
        """What the neighbours looked at."""
        return next_items(seen, self._arrays, self._limits, self._popular, self.task.k)


class Vstan(SessionNeighbours):
    """With decays for the distance in both sessions and for age, and the cosine of STAN."""

    designs = (VSTAN_DESIGN,)
    space = VSTAN


class Shipped(SessionNeighbours):
    """What recommend answers for a session without a profile: session neighbours with all that
    training may choose, then what is popular."""

    designs = BLEND_DESIGNS
    space = BLEND
    tail = True

    def _searched(self) -> tuple[Sequence[NeighbourSettings], Space]:
        return with_current(self.designs, self.space, keep_current=self.task.keep_current)
