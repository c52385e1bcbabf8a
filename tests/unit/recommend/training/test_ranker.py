"""The ranker in training: decisions and clicks in, a part and figures out, or why there is none."""

from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec
import pytest

from services.recommend.ranker import training as ranker_training
from services.recommend.ranker.boosting import lightgbm
from services.recommend.ranker.training import PART
from services.recommend.training import ranker
from services.recommend.training.building import HistoryBuilder
from services.recommend.training.training_run import LINEAR, TREES, train_all
from shared.events import OfferClicked, encode, identity_key
from shared.models.metadata import Metadata
from shared.models.store import Version

NAMES = ["session", "item_price"]
ITEMS = "abcdef"
EVERY_MS = 60_000


def records(count: int, *, cheap: bool) -> Iterator[tuple[bytes, Any]]:
    """Decisions and a click each: on the cheapest item, or on the dearest; what happened in the
    session says nothing."""
    random = Random(1)
    for number in range(count):
        at = 1_000_000 + number * EVERY_MS
        prices = [random.random() for _ in ITEMS]
        decision = {
            "decision_id": f"d{number}",
            "decided_at": at,
            "anonymous": f"v{number}",
            "answer": {
                "arm": "personalised",
                "items": [{"id": item, "rank": place + 1} for place, item in enumerate(ITEMS)],
            },
            "feature_names": NAMES,
            "feature_values": [[random.random(), price] for price in prices],
            "propensities": [1.0] * len(ITEMS),
        }
        wanted = prices.index(min(prices) if cheap else max(prices))
        click = OfferClicked(
            event_id=f"{number}", anonymous=f"v{number}", occurred_at=at + 1, received_at=at + 1,
            item=ITEMS[wanted], decision_id=f"d{number}",
        )  # fmt: skip
        yield msgspec.json.encode(decision), click


def built(count: int, *, cheap: bool = True) -> HistoryBuilder:
    builder, made = HistoryBuilder(), list(records(count, cheap=cheap))
    for decision, _ in made:
        builder.outcomes.decided(decision)
    for _, click in made:
        builder.take(identity_key(click).encode(), encode(click))
    return builder


def train(count: int, current: Version | None = None, *, cheap: bool = True) -> Any:
    said: list[str] = []
    return *ranker.train(built(count, cheap=cheap).outcomes.logged(), current, 1, said.append), said


@pytest.mark.skipif(lightgbm() is None, reason="LightGBM or the system's OpenMP is missing")
def test_it_learns_from_decisions_and_clicks_and_is_measured_on_the_newest() -> None:
    part, (against_linear,), _ = train(400)
    assert part.facts["names"] == NAMES
    assert part.facts["rankings"] == 400
    assert against_linear.against == "linear"
    assert against_linear.cases == 40, "the newest tenth"
    assert against_linear.value > 0.9
    assert against_linear.ci95[0] > 0
    in_force = Version(Metadata(name="t", version="v1", trained_at=""), [""], {PART: part})
    _, (_, same), _ = train(400, in_force)
    assert (same.against, same.worse) == ("v1", False)
    _, (_, better), _ = train(400, in_force, cheap=False)
    assert better.difference > 0.3, "the taste has changed, and the trees in force do not know"


@pytest.mark.skipif(lightgbm() is None, reason="LightGBM or the system's OpenMP is missing")
def test_a_version_with_trees_says_so() -> None:
    builder = built(400)
    trained = train_all(builder.history(), None, 1, quiet, logged=builder.outcomes.logged())
    assert trained.name == TREES
    assert PART in trained.parts
    assert trained.metrics[ranker.NDCG]["linear"]["difference"] > 0


def test_without_lightgbm_it_says_so_and_the_part_is_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ranker_training, "lightgbm", lambda: None)
    part, comparisons, said = train(400)
    assert (part, comparisons) == (None, [])
    assert "LightGBM" in said[-1]
    builder = built(400)
    trained = train_all(builder.history(), None, 1, quiet, logged=builder.outcomes.logged())
    assert trained.name == LINEAR
    assert PART not in trained.parts
    assert "LightGBM" in trained.missing[PART]


def test_too_few_decisions_teach_nothing() -> None:
    for count in (0, 1, 20):
        part, comparisons, said = train(count)
        assert (part, comparisons) == (None, [])
        assert "linear ranker" in said[-1]


def quiet(line: str) -> None:
    del line
