"""Training from a log whose clicks follow a known rule, and the ranker that serves it."""

import numpy as np
import pytest

from services.recommend.ranker.boosting import POSITION, lightgbm
from services.recommend.ranker.rankings import Logged, joined
from services.recommend.ranker.serving import TreeRanker
from services.recommend.ranker.training import PART, train_ranker
from shared.catalogue import ItemChanged
from shared.decisions import ModelName
from shared.profile import View
from tests.unit.recommend.shop import Shop, ids

NAMES = ["session", "click_rate", "item_price", "trend"]


@pytest.fixture(autouse=True)
def _needs_lightgbm() -> None:
    if lightgbm() is None:
        pytest.skip("LightGBM or the system's OpenMP is missing")


def decisions(count: int, seed: int = 1) -> list[Logged]:
    """Cheap items are clicked, whatever the linear ranker thinks of them; so is the first place."""
    random = np.random.default_rng(seed)
    made = []
    for at in range(count):
        values = random.random((8, len(NAMES)))
        values[:, 2] *= 10
        values[values[:, 3] < 0.2, 3] = np.nan
        chance = 1 / (1 + np.exp(values[:, 2] - 3)) * 0.8
        chance[0] = min(chance[0] + 0.3, 1.0)
        clicked = (random.random(8) < chance).tolist()
        rows = [[None if np.isnan(value) else value for value in row] for row in values.tolist()]
        bought = [hit and at % 3 == 0 for hit in clicked]
        made.append(Logged(NAMES, rows, clicked, bought, range(1, 9), [1.0] * 8, at))
    return made


def quiet(line: str) -> None:
    del line


def test_it_learns_the_rule_and_says_what_it_reached() -> None:
    said: list[str] = []
    part = train_ranker(joined(decisions(600)), 1, said.append)
    assert part is not None
    assert part.name == PART
    facts = part.facts
    assert facts["ndcg10"] > facts["ndcg10_linear"] + 0.1
    assert facts["better"]
    assert facts["steps"] <= 200
    assert "nDCG@10" in said[-1]
    again = train_ranker(joined(decisions(600)), 1, quiet)
    assert again is not None
    for name, array in part.arrays.items():
        np.testing.assert_array_equal(array, again.arrays[name])


def test_too_little_to_learn_from() -> None:
    said: list[str] = []
    assert train_ranker(joined(decisions(20)), 1, said.append) is None
    assert "200 are needed" in said[0]


def test_without_lightgbm_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.recommend.ranker.training.lightgbm", lambda: None)
    said: list[str] = []
    assert train_ranker(joined(decisions(300)), 1, said.append) is None
    assert "OpenMP is missing" in said[0]


def test_recommend_ranks_with_what_was_trained() -> None:
    part = train_ranker(joined(decisions(600)), 1, quiet)
    assert part is not None
    ranker = TreeRanker.of(part, ModelName(name="trees", version="1"))
    assert ranker.calibrated
    shop = Shop()
    prices = {"a1": 4_000, "a2": 3, "a3": 3_000, "a4": 2_000, "a5": 1_000, "a6": 5_000}
    for item, price in prices.items():
        shop.catalogue.put(ItemChanged(item=item, price=price, category=item[0]))
    shop.viewed(**dict.fromkeys(prices, 5))
    shop.knowledge.ranker = ranker
    choice = shop.ask(view=View(), n=3)
    assert ids(choice)[0] == "a2"
    scores = [offer.score for offer in choice.items]
    assert scores == sorted(scores, reverse=True)
    assert 0.0 < scores[-1] <= scores[0] < 1.0
    assert choice.features is not None
    assert choice.features.shape == (3, len(choice.feature_names))
    assert choice.features[0][choice.feature_names.index("item_price")] == 3.0


def test_the_place_is_held_constant() -> None:
    part = train_ranker(joined(decisions(600)), 1, quiet)
    assert part is not None
    assert POSITION not in part.facts["names"]
