"""Candidates of all sources as one pool: each item once, with what each source said of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import NO_NUMBERS, Numbers, Scores, grown

MOST_CANDIDATES: Final = 1_000


@dataclass(slots=True)
class Pool:
    """`rows`: catalogue rows, each once, in the order found; `scores`: by source, aligned."""

    rows: Numbers
    scores: dict[str, Scores]

    def only(self, kept: NDArray[np.bool_]) -> "Pool":
        """The pool without what `kept` leaves out."""
        scores = {name: column[kept] for name, column in self.scores.items()}
        return Pool(self.rows[kept], scores)


@dataclass(slots=True)
class Pooling:
    """Collects one request's candidates. `place` is scratch by row, -1 between requests: the
    shared exclude set, since what has a place is not taken in again."""

    place: Numbers = field(default_factory=lambda: np.full(64, -1, dtype=np.int64))

    def collect(
        self, found: list[tuple[str, Numbers, Scores]], size: int, seen: Sequence[int] = ()
    ) -> Pool:
        """One pool out of what the sources found (rows below `size`), earlier sources first; at
        most MOST_CANDIDATES. A source names an item at most once. The column `seen` is 1 for
        those of the pool that are in `seen`, which adds none."""
        self.place = place = grown(self.place, size, -1)
        parts: list[Numbers] = []
        count = 0
        for _, rows, _ in found:
            fresh = rows[place[rows] < 0][: MOST_CANDIDATES - count]
            place[fresh] = np.arange(count, count + len(fresh))
            count += len(fresh)
            parts.append(fresh)
        rows = np.concatenate(parts) if parts else NO_NUMBERS
        scores: dict[str, Scores] = {}
        for name, named, values in found:
            column = np.zeros(count + 1)
            column[place[named]] = values
            scores[name] = column[:count]
        if seen:
            column = scores["seen"] = np.zeros(count + 1)
            column[place[[row for row in seen if row < size]]] = 1.0
            scores["seen"] = column[:count]
        place[rows] = -1
        return Pool(rows, scores)
