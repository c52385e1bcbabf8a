"""`attune evaluate next-item`: which item comes next in a session of clicks?

Clicks are revealed one at a time; items unseen in training are dropped from the test. Settings
come from the validation file and time splits of the training file, never from the test file.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.recommend.arrays import Numbers
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.evaluation.clicks import ClickSession, read_sessions
from services.recommend.evaluation.compared import METHODS, SHIPPED
from services.recommend.evaluation.methods import Method, Task
from services.recommend.evaluation.scores import Ranks, interval
from services.recommend.numbers import ItemNumbers
from services.recommend.training.build import (
    MOST_OF_ONE,
    HeldOut,
    build_index,
    clicks_of,
    hold_out,
    popular_first,
    predictions_of,
)
from shared.errors import InvalidInput

ENOUGH: Final = 4_000
"""Predictions held out; a smaller validation file is joined by time splits of the training file,
so that settings do not fit the chance of a few hundred."""
SPLITS: Final = 3
SHARE: Final = 0.1
MOST_SESSIONS: Final = 3_000
"""Of a time split: the latest SHARE of the sessions, and no more than that."""


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
    counts = clicks_of(sessions)
    index = build_index(sessions, max(1_024, len(sessions)))
    popular = popular_first(counts)
    held_out = _held_out(sessions, index, popular, valid, numbers)
    say(f"settings are chosen on {sum(len(held.predictions[2]) for held in held_out)} predictions")
    task = Task(sessions, index, popular, held_out, k, keep_current, seed, say)
    asked = _numbered(tested, numbers)
    if not any(sum(map(bool, session)) > 1 for session in asked):
        raise InvalidInput("no test session has two items that the training file holds")
    outcomes = []
    for name in methods:
        say(f"{name}: choosing settings, then {len(asked)} test sessions")
        outcomes.append(measure(name, METHODS[name](task), asked, k))
    rows = [outcome.row(seed) for outcome in outcomes]
    _compare(outcomes, rows, seed)
    return rows


def _numbered(sessions: list[ClickSession], numbers: ItemNumbers) -> list[list[int]]:
    return [[numbers.known(item) for item in session.items] for session in sessions]


def _held_out(
    sessions: Sequence[Sequence[int]],
    index: SessionIndex,
    popular: Numbers,
    valid: Path | None,
    numbers: ItemNumbers,
) -> list[HeldOut]:
    """The validation file against all of the training file, and time splits of that one until
    there are predictions enough: its latest sessions against the earlier, those before them."""
    held_out = []
    if valid is not None:
        asked = predictions_of(_numbered(read_sessions(valid), numbers), ENOUGH, MOST_OF_ONE)
        held_out.append(HeldOut(index, asked, popular))
    size = max(1, min(int(len(sessions) * SHARE), MOST_SESSIONS))
    for split in range(SPLITS):
        missing = ENOUGH - sum(len(held.predictions[2]) for held in held_out)
        end = len(sessions) - split * size
        if missing <= 0 or end - size < 1:
            break
        most = min(missing, ENOUGH // 2)
        held_out.append(hold_out(sessions[: end - size], sessions[end - size : end], most))
    return held_out


def measure(name: str, method: Method, asked: list[list[int]], k: int) -> Outcome:
    """Reveal the clicks of every session and time each prediction, its top k included."""
    outcome = Outcome(name, Ranks(k), method.settings)
    for place, session in enumerate(asked):
        clicks, _, targets = predictions_of([session])
        for target in targets.tolist():
            seen = clicks[:target]
            started = time.perf_counter_ns()
            items = method.predict(seen)
            outcome.took_us.append((time.perf_counter_ns() - started) / 1_000)
            found = np.flatnonzero(items == clicks[target])
            outcome.ranks.add(int(found[0]) + 1 if len(found) else 0)
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
