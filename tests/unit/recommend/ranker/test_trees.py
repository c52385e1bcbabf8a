"""Our walk against LightGBM's own predictions, missing values included, and what it attributes."""

from typing import Any

import numpy as np
import pytest

from services.recommend.ranker.boosting import lightgbm
from services.recommend.ranker.trees import Trees, parse_trees, paths
from shared.errors import InvalidInput

COLUMNS = 6


def data(rows: int, seed: int, missing: float) -> np.ndarray[Any, np.dtype[np.float64]]:
    random = np.random.default_rng(seed)
    features = random.normal(size=(rows, COLUMNS))
    # values that are equal, and whole numbers as thresholds lie between them
    features[:, 1] = np.floor(features[:, 1] * 3)
    features[random.random(features.shape) < missing] = np.nan
    return features


def trained(missing: float, **changes: Any) -> tuple[Any, Trees]:
    module = lightgbm()
    if module is None:
        pytest.skip("LightGBM or the system's OpenMP is missing")
    features = data(2_000, 1, missing)
    known = np.nan_to_num(features)
    labels = (known[:, 0] * known[:, 2] + np.isnan(features[:, 3]) + known[:, 1] > 0).astype(int)
    parameters = {"objective": "binary", "num_leaves": 16, "verbosity": -1, "num_threads": 1}
    booster = module.train(parameters | changes, module.Dataset(features, labels), 30)
    return booster, parse_trees(booster.model_to_string())


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_walk_is_lightgbms(missing: float) -> None:
    booster, trees = trained(missing)
    asked = data(500, 2, 0.3)
    asked[0] = np.nan
    asked[1] = 0.0
    asked[2] = 1e300
    assert trees.score(asked) == pytest.approx(booster.predict(asked, raw_score=True), abs=1e-9)


def test_thresholds_themselves_go_left() -> None:
    booster, trees = trained(0.0)
    # LightGBM takes what is within 1e-35 of 0, which is a threshold beside 0, for 0 itself
    inner = (trees.child[::2] != np.arange(len(trees.feature))) & (np.abs(trees.threshold) > 1e-30)
    asked = np.zeros((int(inner.sum()), COLUMNS))
    asked[np.arange(len(asked)), trees.feature[inner]] = trees.threshold[inner]
    assert trees.score(asked) == pytest.approx(booster.predict(asked, raw_score=True), abs=1e-9)


def test_the_first_trees_alone_are_lightgbms_first() -> None:
    booster, trees = trained(0.1)
    asked = data(100, 3, 0.2)
    few = booster.predict(asked, raw_score=True, num_iteration=4)
    assert trees.first(4).score(asked) == pytest.approx(few, abs=1e-9)
    assert len(trees.first(4)) == 4
    assert trees.first(99).score(asked) == pytest.approx(trees.score(asked))


def test_other_columns_and_columns_that_are_gone() -> None:
    _, trees = trained(0.2)
    asked = data(200, 4, 0.2)
    turned = np.ascontiguousarray(asked[:, ::-1])
    places = list(range(COLUMNS))[::-1]
    assert trees.placed(places, {}).score(turned).tolist() == trees.score(asked).tolist()
    without = asked.copy()
    without[:, 0] = np.nan
    gone = [-1, 1, 2, 3, 4, 5]
    assert trees.placed(gone, {}).score(asked).tolist() == trees.score(without).tolist()
    without[:, 0] = 0.5
    assert trees.placed(gone, {0: 0.5}).score(asked).tolist() == trees.score(without).tolist()


def test_paths_add_up_to_the_score() -> None:
    _, trees = trained(0.2)
    asked = data(50, 5, 0.2)
    moved = paths(asked, trees.arrays())
    start = trees.value[trees.root].sum()
    assert moved.sum(axis=1) + start == pytest.approx(trees.score(asked))
    # column 5 says nothing about the label, column 0 and 2 all of it
    assert np.abs(moved[:, 5]).sum() < np.abs(moved[:, 0]).sum() / 3


def test_a_column_that_is_gone_moves_nothing() -> None:
    _, trees = trained(0.0)
    asked = data(50, 6, 0.0)
    placed = trees.placed([-1, -1, 2, -1, -1, -1], {})
    moved = paths(asked, placed.arrays())
    assert np.flatnonzero(np.abs(moved).sum(axis=0)).tolist() == [2]


def test_a_tree_that_is_a_single_leaf() -> None:
    module = lightgbm()
    if module is None:
        pytest.skip("LightGBM or the system's OpenMP is missing")
    features = data(50, 1, 0.0)
    parameters = {"objective": "regression", "verbosity": -1, "min_data_in_leaf": 100}
    booster = module.train(parameters, module.Dataset(features, np.ones(50)), 1)
    trees = parse_trees(booster.model_to_string())
    assert trees.score(features).tolist() == pytest.approx(booster.predict(features).tolist())


def test_models_that_are_not_ours_are_refused() -> None:
    with pytest.raises(InvalidInput, match="never trained with"):
        trained(0.2, zero_as_missing=True)
    with pytest.raises(InvalidInput, match="no tree"):
        parse_trees("tree\nversion=v4\n")
