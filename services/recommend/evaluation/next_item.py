"""`attune evaluate next-item`: which item comes next in a session of clicks?

Clicks are revealed one at a time; items unseen in training are dropped from the test. Settings
come from the validation file or a time split of the training file, never from the test file.
"""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from services.recommend.arrays import best_first
from services.recommend.evaluation.clicks import ClickSession, read_sessions, split_by_time
from services.recommend.evaluation.methods import METHODS, SHIPPED, Method, Task
from services.recommend.evaluation.scores import Ranks, interval, rank_of
from services.recommend.numbers import ItemNumbers
from services.recommend.training.build import build_index, predictions
from shared.errors import InvalidInput


@dataclass(slots=True)
class Outcome:
    """One method on the test file: reciprocal ranks with the session of each, and microseconds."""

    method: str
    ranks: Ranks
    settings: dict[str, Any]
    sessions: list[int] = field(default_factory=list)
    took_us: list[float] = field(default_factory=list)

    def row(self, seed: int) -> dict[str, Any]:
        """As CLI.md has it."""
        p50, p90, p99 = np.percentile(self.took_us or [0.0], [50, 90, 99])
        return {
            "method": self.method,
            "k": self.ranks.k,
            "n": len(self.ranks.reciprocal),
            "hr": round(self.ranks.hit_rate, 5),
            "mrr": round(self.ranks.mrr, 5),
            "mrr_ci95": interval(self.ranks.reciprocal, self.sessions, seed),
            "p50_us": round(float(p50), 1),
            "p90_us": round(float(p90), 1),
            "p99_us": round(float(p99), 1),
            "settings": self.settings,
        }


def evaluate(
    train: Path,
    test: Path,
    *,
    valid: Path | None,
    methods: Iterable[str],
    k: int,
    keep_current: bool,
    seed: int,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Rows of `results`. Raises InvalidInput for a file that cannot be read or is empty."""
    trained, tested = read_sessions(train), read_sessions(test)
    if not trained or not tested:
        raise InvalidInput("the training and the test file need at least one click each")
    numbers = ItemNumbers()
    sessions = [[numbers.number(item) for item in session.items] for session in trained]
    held_out = [] if valid is None else _numbered(read_sessions(valid), numbers)
    task = _task(sessions, held_out, len(numbers), k, keep_current)
    choosing = task if valid is not None else _split(trained, k, keep_current)
    asked = _numbered(tested, numbers)
    outcomes = []
    for name in methods:
        say(f"{name}: choosing settings, then {len(asked)} test sessions")
        settings = METHODS[name].choose(choosing)
        outcomes.append(measure(name, METHODS[name](task, settings), asked, k))
    rows = [outcome.row(seed) for outcome in outcomes]
    _compare(outcomes, rows, seed)
    return rows


def _numbered(sessions: list[ClickSession], numbers: ItemNumbers) -> list[list[int]]:
    return [[numbers.known(item) for item in session.items] for session in sessions]


def _split(trained: list[ClickSession], k: int, keep_current: bool) -> Task:
    """The latest training sessions against the earlier ones: where settings are chosen without a
    validation file."""
    earlier, later = split_by_time(trained)
    numbers = ItemNumbers()
    sessions = [[numbers.number(item) for item in session.items] for session in earlier]
    return _task(sessions, _numbered(later, numbers), len(numbers), k, keep_current)


def _task(
    sessions: list[list[int]], held_out: list[list[int]], items: int, k: int, keep_current: bool
) -> Task:
    clicks = np.array([item for session in sessions for item in session], dtype=np.int64)
    counts = np.bincount(clicks, minlength=items)
    index = build_index(sessions, capacity=max(1_024, len(sessions)))
    return Task(index, counts, held_out, k, keep_current)


def measure(name: str, method: Method, asked: list[list[int]], k: int) -> Outcome:
    """Reveal the clicks of every session and time each prediction, its top k included."""
    outcome = Outcome(name, Ranks(k), asdict(method.settings))
    for place, session in enumerate(asked):
        for seen, target in predictions([session]):
            started = time.perf_counter_ns()
            items, scores = best_first(*method.predict(seen), k)
            outcome.took_us.append((time.perf_counter_ns() - started) / 1_000)
            outcome.ranks.add(rank_of(items, scores, target))
            outcome.sessions.append(place)
    return outcome


def _compare(outcomes: list[Outcome], rows: list[dict[str, Any]], seed: int) -> None:
    """The shipped method's paired difference to the strongest other, where both ran."""
    others = [outcome for outcome in outcomes if outcome.method != SHIPPED]
    shipped = next((outcome for outcome in outcomes if outcome.method == SHIPPED), None)
    if shipped is None or not others:
        return
    strongest = max(others, key=lambda outcome: outcome.ranks.mrr)
    paired = np.subtract(shipped.ranks.reciprocal, strongest.ranks.reciprocal).tolist()
    row = next(row for row in rows if row["method"] == SHIPPED)
    row["difference"] = {
        "against": strongest.method,
        "estimate": round(float(np.mean(paired)), 5) if paired else 0.0,
        "ci95": interval(paired, shipped.sessions, seed),
    }
