"""Settings of LightFM by what predicts the later part of each user's history best.

Between fit.py and training.py; `attune evaluate top-n` chooses by it, too.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from services.recommend.arrays import Numbers
from services.recommend.vectors.fit import Features, Summed, VectorSettings, path, summed
from services.recommend.vectors.interactions import Split
from services.recommend.vectors.lists import quality

if TYPE_CHECKING:
    from scipy.sparse import csr_array

K: Final = 10
MOST_CELLS: Final = 8_000_000
"""Scores that one look at the held-out part computes: users times items."""
MOST_USERS: Final = 2_000
EPOCHS: Final = 40
"""More never helped; a run ends before where two looks found nothing better."""
VARIATIONS: Final[tuple[dict[str, Any], ...]] = (
    {"learning_rate": 0.02},
    {"alpha": 1e-5},
    {"dimensions": 64},
    {"loss": "bpr"},
    {"weighted": True},
)
"""One change at a time to the best so far."""


@dataclass(slots=True)
class Chosen:
    """The best settings found, their nDCG on the held-out part, and the vectors they gave there."""

    settings: VectorSettings
    ndcg: float
    vectors: Summed | None = None


@dataclass(frozen=True, slots=True)
class HeldOut:
    """What the later part asks: of `users`, what they touched (`wanted`) besides `seen`."""

    users: Numbers
    seen: "csr_array"
    wanted: "csr_array"

    @classmethod
    def of(cls, split: Split, seed: int, most: int = MOST_USERS) -> "HeldOut":
        """At most `most` users, fewer where there are many items, drawn at random."""
        users = np.unique(split.later.user).astype(np.int64)
        most = min(most, MOST_CELLS // max(split.later.items, 1) + 1)
        if len(users) > most:
            users = np.sort(np.random.default_rng(seed).permutation(users)[:most])
        return cls(users, split.earlier.matrix(), split.later.matrix())

    def ndcg(self, scores: "np.ndarray[tuple[int, int], np.dtype[np.float32]]") -> float:
        """The mean at K; scores: float32[users, items]."""
        if not len(self.users):
            return 0.0
        return float(quality(scores, self.seen, self.wanted, self.users, K).ndcg.mean())


def choose_settings(
    split: Split,
    items: Features,
    users: Features,
    seed: int,
    work: int,
    say: Callable[[str], None],
) -> Chosen:
    """Try one variation after another for as long as `work` (rows learned from, in all) lasts.

    Work is counted, not timed, so that the same data gives the same settings everywhere.
    """
    held_out = HeldOut.of(split, seed)
    best, left = _run(split, items, users, VectorSettings(epochs=EPOCHS), held_out, seed, work)
    say(f"vectors: {_shown(best)}")
    for change in VARIATIONS:
        if "weighted" in change and np.ptp(split.earlier.weight) == 0:
            continue
        if left < len(split.earlier.user) * best.settings.epochs:
            break
        settings = replace(best.settings, **{"epochs": EPOCHS, **change})
        found, left = _run(split, items, users, settings, held_out, seed, left)
        say(f"vectors: {_shown(found)}")
        if found.ndcg > best.ndcg:
            best = found
    return best


def _run(
    split: Split,
    items: Features,
    users: Features,
    settings: VectorSettings,
    held_out: HeldOut,
    seed: int,
    work: int,
) -> tuple[Chosen, int]:
    """The best number of epochs for these settings, and the work that is left."""
    best, worse, done = Chosen(settings, -1.0), 0, 0
    for epochs, factors in path(split.earlier, items, users, settings, seed):
        done += epochs
        work -= epochs * len(split.earlier.user)
        vectors = summed(factors, items, users)
        ndcg = held_out.ndcg(vectors.scores(held_out.users))
        if ndcg > best.ndcg:
            best, worse = Chosen(replace(settings, epochs=done), ndcg, vectors), 0
        else:
            worse += 1
        if worse == 2 or work <= 0:
            break
    return best, work


def _shown(found: Chosen) -> str:
    said = ", ".join(f"{name} {value}" for name, value in asdict(found.settings).items())
    return f"{said}: nDCG@{K} {found.ndcg:.4f} on the held-out part"
