"""Candidates of all sources as one pool: each item once, with what the sources said of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import NO_NUMBERS, Numbers, Scores, grown

MOST_CANDIDATES: Final = 1_000


class Found(NamedTuple):
    """What one source found: catalogue rows, each once, and their scores where the ranker uses
    what this source says (None: being found is all)."""

    source: str
    rows: Numbers
    scores: Scores | None


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
    """Collects one request's candidates. `place` is scratch by row: where in the pool a row was
    put last. What it holds of earlier requests is never looked at, since each row is written
    before it is read."""

    place: Numbers = field(default_factory=lambda: np.zeros(64, dtype=np.int64))

    def collect(self, found: Sequence[Found], size: int, seen: Sequence[int] = ()) -> Pool:
        """One pool out of what the sources found (rows below `size`); at most MOST_CANDIDATES.

        The column `seen` is 1 for those of the pool that are in `seen`, which adds none.
        """
        if not found:
            return Pool(NO_NUMBERS, {})
        self.place = place = grown(self.place, size)
        named = np.concatenate([rows for _, rows, _ in found])[:MOST_CANDIDATES]
        places = np.arange(len(named))
        place[named] = places
        rows = named[place[named] == places]
        count = len(rows)
        place[rows] = places[:count]
        scores: dict[str, Scores] = {}
        begin = 0
        for source, own, values in found:
            if values is not None:
                kept = own[: max(0, MOST_CANDIDATES - begin)]
                column = scores[source] = np.zeros(count)
                column[place[kept]] = values[: len(kept)]
            begin += len(own)
        if seen:
            column = scores["seen"] = np.zeros(count)
            for row in seen:
                at = int(place[row]) if row < size else count
                if at < count and rows[at] == row:
                    column[at] = 1.0
        return Pool(rows, scores)
