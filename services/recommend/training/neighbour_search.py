"""Chooses the settings of session neighbours on held-out sessions, within a bound of work.

Between the index (build.py) and the model. From coarse to fine: designs and random draws on a
sample, the best of them on all predictions, then one setting after another until nothing gains.
What a prediction costs is counted, not timed (neighbours.efforts), so that the same data gives the
same settings on a busy machine. Pure.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Final, TypeAlias

import numpy as np

from services.recommend.arrays import NO_SCORES, Scores
from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.candidates.neighbours import Predictions, efforts, reciprocal_ranks
from services.recommend.training.build import HeldOut

Space: TypeAlias = Mapping[str, Sequence[float]]

MOST_EFFORT: Final = 60_000.0
"""Nanoseconds: what nine predictions of ten may cost at most."""
SAMPLE: Final = 600
"""Predictions that designs and draws are compared on."""
DRAWS: Final = 24
FINALISTS: Final = 3
CLIMBS: Final = 2
"""Finalists that are changed step by step: the best of them need not lead to the best."""
ROUNDS: Final = 4
LEAST_GAIN: Final = 0.25
"""A change must gain this many standard errors of the paired difference: settings that only fit
the chance of few predictions are left alone."""

_NEAREST: Final[Space] = {
    "newest": (50, 100, 250, 500, 1_000),
    "neighbours": (25, 50, 100, 200, 400),
    "last_items": (1, 2, 3, 5, 9, 15, 20),
}
_OWN: Final = (0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0)
VMIS: Final[Space] = {
    **_NEAREST,
    "decay": (0.0, 0.05, 0.1, 0.2),
    "idf": (0.0, 0.5, 1.0, 2.0, 5.0),
}
VSTAN: Final[Space] = {
    **_NEAREST,
    "position": (0.5, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0),
    "recency": (0.0, 0.1, 0.3, 1.0, 3.0),
    "distance": (0.0, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0),
    "idf": (0.0, 0.5, 1.0, 2.0, 5.0),
}
BLEND: Final[Space] = {
    "back": _OWN,
    "again_back": _OWN,
    "again_earlier": _OWN,
    "earlier": _OWN,
    **VSTAN,
    **VMIS,
    "position": (0.0, *VSTAN["position"]),
    "length": (0.0, 0.25, 0.5, 0.75),
    "before": (0.0, 0.3, 0.5, 0.7, 0.85, 1.0, 1.2),
    "chain": (0.0, 0.1, 0.3, 1.0, 3.0, 10.0),
    "rarity": (0.0, 0.1, 0.2, 0.3, 0.5),
}
CURRENT: Final = (0.0, 0.05, 0.1, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 40.0)
"""Weights of the current item, where it may be named."""
VMIS_DESIGN: Final = NeighbourSettings(newest=500)
VSTAN_DESIGN: Final = NeighbourSettings(
    newest=500, last_items=20, position=2.0, decay=0.0, length=0.5, distance=2.0
)
BLEND_DESIGNS: Final = (
    VMIS_DESIGN,
    VSTAN_DESIGN,
    replace(VSTAN_DESIGN, back=3.0, again_back=5.0, again_earlier=2.0, rarity=0.1),
    replace(VMIS_DESIGN, chain=1.0),
)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What was chosen: its mean reciprocal rank on all predictions held out, the reciprocal rank
    of each, how many settings were tried."""

    settings: NeighbourSettings
    mrr: float
    reciprocal: Scores
    tried: int


@dataclass(slots=True)
class Search:
    """One search: `budget_s` seconds of work, as it is counted; recency is in shares of the
    sessions of the largest index."""

    held_out: Sequence[HeldOut]
    k: int
    budget_s: float
    progress: Callable[[int], None] = lambda _: None
    _spent: float = 0.0
    _tried: dict[NeighbourSettings, Scores | None] = field(default_factory=dict)

    def choose(self, designs: Sequence[NeighbourSettings], space: Space, seed: int) -> Chosen:
        """The best of the designs, of draws out of the space, and of what comes of changing them.
        Of equals the one tried first; the first design where nothing was held out."""
        if not any(len(held.predictions[2]) for held in self.held_out):
            return Chosen(designs[0], 0.0, NO_SCORES, 0)
        space = self._scaled(space)
        drawn = Random(seed)
        candidates = [*designs]
        for _ in range(DRAWS):
            changes = {name: drawn.choice(values) for name, values in space.items()}
            candidates.append(_changed(drawn.choice(designs), changes))
        means = [self._mean(self._try(candidate, self._thin())) for candidate in candidates]
        order = np.argsort(-np.array(means), kind="stable")[:FINALISTS]
        finalists = [candidates[place] for place in order]
        finalists += [design for design in designs if design not in finalists]
        finalists.sort(key=lambda finalist: -self._mean(self._whole(finalist)))
        climbed = [self._climb(finalist, space) for finalist in finalists[:CLIMBS]]
        best = max(climbed, key=lambda settings: self._mean(self._whole(settings)))
        reciprocal = self._whole(best)
        if reciprocal is None:  # even the designs cost too much: the cheapest there is
            best = replace(best, newest=50, neighbours=25, last_items=1, chain=0.0)
            reciprocal = self._measure(best, [held.predictions for held in self.held_out])
        return Chosen(best, float(reciprocal.mean()), reciprocal, len(self._tried))

    def _climb(self, best: NeighbourSettings, space: Space) -> NeighbourSettings:
        for _ in range(ROUNDS):
            before = best
            for name, values in space.items():
                for value in values:
                    if self._spent > self.budget_s:
                        return best
                    changed = _changed(best, {name: value})
                    if changed != best and self._better(changed, best):
                        best = changed
            if best == before:
                break
        return best

    def _better(self, one: NeighbourSettings, other: NeighbourSettings) -> bool:
        """Whether a change gains more than chance gives, or makes possible what costs too much."""
        ours, theirs = self._whole(one), self._whole(other)
        if ours is None or theirs is None:
            return ours is not None
        gain = ours - theirs
        error = float(gain.std()) / max(len(gain), 1) ** 0.5
        return bool(gain.mean() > LEAST_GAIN * error + 1e-9)

    def _whole(self, settings: NeighbourSettings) -> Scores | None:
        if settings not in self._tried:
            self._tried[settings] = self._try(settings, 1)
            self.progress(1)
        return self._tried[settings]

    def _try(self, settings: NeighbourSettings, step: int) -> Scores | None:
        """Reciprocal ranks on every `step`-th prediction; None where they cost too much."""
        asked = [
            (clicks, begins[::step].copy(), targets[::step].copy())
            for clicks, begins, targets in (held.predictions for held in self.held_out)
        ]
        pairs = zip(self.held_out, asked, strict=True)
        effort = [efforts(some, held.index.arrays(), settings.limits()) for held, some in pairs]
        if max((float(np.percentile(one, 90)) for one in effort if len(one)), default=0) > (
            MOST_EFFORT
        ):
            return None
        self._spent += sum(float(one.sum()) for one in effort) / 1e9
        return self._measure(settings, asked)

    def _measure(self, settings: NeighbourSettings, asked: Sequence[Predictions]) -> Scores:
        return np.concatenate(
            [
                reciprocal_ranks(some, held.index.arrays(), settings.limits(), held.popular, self.k)
                for held, some in zip(self.held_out, asked, strict=True)
            ]
        )

    def _thin(self) -> int:
        total = sum(len(held.predictions[2]) for held in self.held_out)
        return max(total // SAMPLE, 1)

    def _mean(self, reciprocal: Scores | None) -> float:
        return -1.0 if reciprocal is None or not len(reciprocal) else float(reciprocal.mean())

    def _scaled(self, space: Space) -> Space:
        sessions = max((held.index.total for held in self.held_out), default=1)
        if "recency" not in space:
            return space
        return {**space, "recency": [float(round(share * sessions)) for share in space["recency"]]}


def with_current(
    designs: Sequence[NeighbourSettings], space: Space, *, keep_current: bool
) -> tuple[Sequence[NeighbourSettings], Space]:
    """The same where the current item may be named, with a weight of its own, or never is."""
    if keep_current:
        return designs, {"current": CURRENT, **space}
    return [replace(design, current=0.0) for design in designs], space


def _changed(settings: NeighbourSettings, changes: Mapping[str, float]) -> NeighbourSettings:
    return NeighbourSettings.of({**asdict(settings), **changes})
