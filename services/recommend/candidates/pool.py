"""Candidates of all sources as one pool: each item once, with what the sources said of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np

from services.recommend.arrays import NO_NUMBERS, NO_SCORES, Numbers, Reasons, Scores, grown
from services.recommend.compiled import compiled

MOST_CANDIDATES: Final = 1_000
SCORED: Final = ("session", "together", "seen")
"""Sources of which the ranker uses what they say, each with a column in the pool; `seen` adds no
candidate."""
SEEN: Final = SCORED.index("seen")
NO_COLUMN: Final = -1


class Found(NamedTuple):
    """What one source found: catalogue rows (below 0: none) and, of a source in SCORED, their
    scores, of which the highest of a row counts (None: being found is all)."""

    source: str
    rows: Numbers
    scores: Scores | None


@dataclass(slots=True)
class Pool:
    """`rows`: catalogue rows, each once, in the order found; `scores`: a row for each of SCORED,
    aligned, 0 where the source did not find it. The first `count` entries are in use."""

    rows: Numbers
    scores: Scores
    count: int = 0

    @property
    def found(self) -> Numbers:
        """The rows in use."""
        return self.rows[: self.count]


@dataclass(slots=True)
class Pooling:
    """Collects one request's candidates. `place` is scratch by row: where in the pool a row was
    put last. What it holds of earlier requests is told by the pool, which has another row there.
    """

    place: Numbers = field(default_factory=lambda: np.zeros(64, dtype=np.int64))
    mark: Reasons = field(default_factory=lambda: np.zeros(64, dtype=np.uint8))
    """Scratch by row for `keep_allowed`, 0 between requests."""

    def collect(self, found: Sequence[Found], size: int, seen: Sequence[int] = ()) -> Pool:
        """One pool out of what the sources found (rows below `size`), the most personal first;
        at most MOST_CANDIDATES.

        The column `seen` is 1 for those of the pool that are in `seen`, which adds none.
        """
        self.place = grown(self.place, size)
        pool = Pool(
            np.empty(MOST_CANDIDATES, dtype=np.int64), np.zeros((len(SCORED), MOST_CANDIDATES))
        )
        for source, rows, scores in found:
            column = NO_COLUMN if scores is None else SCORED.index(source)
            values = NO_SCORES if scores is None else scores
            pool.count = _add(rows, values, column, pool.rows, pool.scores, pool.count, self.place)
        if seen:
            _note(np.array(seen, dtype=np.int64), pool.rows, pool.scores, pool.count, self.place)
        return pool

    def keep_allowed(
        self, pool: Pool, general: Reasons, named: Sequence[int], reasons: Sequence[int]
    ) -> dict[int, int]:
        """Take out of the pool what must not be offered: what `general` (reason codes by row, 0:
        allowed) or a rule of the shopper's own (`named` rows, their `reasons`, of two on one row
        the later) withholds. How many candidates each reason code withholds."""
        self.mark = grown(self.mark, len(general))
        rules = np.array((named, reasons), dtype=np.int64) if named else _NO_RULES
        pool.count, counts = _keep(
            pool.rows, pool.scores, pool.count, general, rules[0], rules[1], self.mark
        )
        return {code: count for code, count in enumerate(counts.tolist()) if count}


_NO_RULES: Final = (NO_NUMBERS, NO_NUMBERS)
MOST_REASONS: Final = 32


@compiled("int64(int64[::1], float64[::1], int64, int64[::1], float64[:, ::1], int64, int64[::1])")
def _add(
    rows: Numbers,
    values: Scores,
    column: int,
    pooled: Numbers,
    scores: Scores,
    count: int,
    place: Numbers,
) -> int:
    for at in range(len(rows)):
        row = rows[at]
        if row < 0 or row >= len(place):
            continue
        where = place[row]
        if where >= count or pooled[where] != row:
            if count == len(pooled):
                continue
            where = count
            place[row] = where
            pooled[where] = row
            count += 1
        if column >= 0:
            scores[column, where] = max(scores[column, where], values[at])
    return count


@compiled("void(int64[::1], int64[::1], float64[:, ::1], int64, int64[::1])")
def _note(seen: Numbers, pooled: Numbers, scores: Scores, count: int, place: Numbers) -> None:
    for at in range(len(seen)):
        row = seen[at]
        if row < len(place) and place[row] < count and pooled[place[row]] == row:
            scores[SEEN, place[row]] = 1.0


@compiled(
    "Tuple((int64, int64[::1]))(int64[::1], float64[:, ::1], int64, uint8[::1], int64[::1],"
    " int64[::1], uint8[::1])"
)
def _keep(
    pooled: Numbers,
    scores: Scores,
    count: int,
    general: Reasons,
    named: Numbers,
    reasons: Numbers,
    mark: Reasons,
) -> tuple[int, Numbers]:
    for at in range(len(named)):
        if named[at] < len(mark):
            mark[named[at]] = reasons[at]
    counts = np.zeros(MOST_REASONS, dtype=np.int64)
    kept = 0
    for at in range(count):
        row = pooled[at]
        code = general[row] if general[row] != 0 else mark[row]
        if code != 0:
            counts[code] += 1
            continue
        pooled[kept] = row
        for column in range(len(scores)):
            scores[column, kept] = scores[column, at]
        kept += 1
    for at in range(len(named)):
        if named[at] < len(mark):
            mark[named[at]] = 0
    return kept, counts
