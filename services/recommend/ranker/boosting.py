"""LambdaMART by LightGBM: the one place that imports it, for training alone.

Used by ranker/training.py and `attune evaluate ranking`. LightGBM needs the system's OpenMP, so it
is imported when it is called for.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Final

import numpy as np

from services.recommend.ranker.rankings import Rankings
from services.recommend.ranker.trees import Trees, parse_trees

POSITION: Final = "position"
"""The feature that holds where an item was shown: what it was clicked for by its place goes there,
and ranking holds it constant (FIRST_PLACE)."""
FIRST_PLACE: Final = 1.0
PATIENCE: Final = 40
MOST_ROUNDS: Final = 600


@dataclass(frozen=True, slots=True)
class Boosting:
    """leaves: of a tree; depth: at most; rate: of learning; least: rows in a leaf; burn_in: share
    of the oldest rankings left out, since little was counted yet when they were shown; debias:
    whether the place shown is a feature that ranking holds constant."""

    leaves: int = 15
    depth: int = 6
    rate: float = 0.05
    least: int = 50
    burn_in: float = 0.0
    debias: bool = False


@dataclass(frozen=True, slots=True)
class Boosted:
    """names: the features that the trees refer to."""

    trees: Trees
    names: tuple[str, ...]
    rounds: int


def lightgbm() -> ModuleType | None:
    """The library, None where it or the system's OpenMP is missing."""
    try:
        import lightgbm as module  # noqa: PLC0415
    except (ImportError, OSError):
        return None
    return module


def columns_of(rankings: Rankings, *, debias: bool) -> tuple[tuple[str, ...], Any]:
    """Features to train with, and their names."""
    if not debias:
        return rankings.names, rankings.features
    place = rankings.position.astype(np.float64)[:, None]
    return (*rankings.names, POSITION), np.concatenate([rankings.features, place], axis=1)


def boost(
    module: ModuleType,
    earlier: Rankings,
    later: Rankings | None,
    how: Boosting,
    seed: int,
    rounds: int = MOST_ROUNDS,
) -> Boosted:
    """Trained on the earlier rankings; stopped early by nDCG@10 of the later ones, if there are."""
    kept = earlier.only(np.arange(int(len(earlier) * how.burn_in), len(earlier)))
    names, features = columns_of(kept, debias=how.debias)
    train = module.Dataset(features, kept.gains(), group=kept.sizes, params={"verbosity": -1})
    checked, callbacks = [], []
    if later is not None:
        held = columns_of(later, debias=how.debias)[1]
        checked = [module.Dataset(held, later.gains(), group=later.sizes, reference=train)]
        callbacks = [module.early_stopping(PATIENCE, verbose=False)]
    booster = module.train(
        _parameters(how, seed), train, rounds, valid_sets=checked, callbacks=callbacks
    )
    best = booster.best_iteration if later is not None else rounds
    text = booster.model_to_string(num_iteration=max(best, 1))
    return Boosted(parse_trees(text), names, max(best, 1))


def _parameters(how: Boosting, seed: int) -> Mapping[str, Any]:
    return {
        "objective": "lambdarank",
        "metric": "ndcg",
        "eval_at": [10],
        "lambdarank_truncation_level": 24,
        "num_leaves": how.leaves,
        "max_depth": how.depth,
        "learning_rate": how.rate,
        "min_data_in_leaf": how.least,
        "lambda_l2": 5.0,
        "feature_fraction": 0.6,
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "num_threads": 1,
        "verbosity": -1,
    }
