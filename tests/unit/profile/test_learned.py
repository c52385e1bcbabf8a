"""What profile takes of the model store: promoted versions, and nothing where there is none."""

from pathlib import Path

import numpy as np
import pytest

from services.profile.component import Component
from services.profile.learned import Learned
from shared.errors import InvalidInput
from shared.lifetime import BuyingRate, Lifetimes, OrderWorth
from shared.models.metadata import Metadata
from shared.models.part import Part
from shared.models.store import ModelStore

FITTED = Lifetimes(BuyingRate(0.8, 40.0, 1.2, 3.0), OrderWorth(6.0, 4.0, 15.0), "EUR")
BUYER = Component(orders=2, first_order_at=1, last_order_at=86_400_001, revenue={"EUR": 100})


def saved(models: Path, version: str, *parts: Part, promote: bool = True) -> None:
    store = ModelStore.open(str(models))
    metadata = Metadata(name="linear", version=version, trained_at="2026-01-01T00:00:00Z")
    store.save(metadata, ["", "coffee", "sofa"], {part.name: part for part in parts})
    if promote:
        store.promote(version, 1)


def intervals() -> Part:
    arrays = {
        "items": np.array([1, 2]),
        "days": np.array([14.5, 900.0]),
        "share": np.array([0.6, 0.01]),
    }
    return Part("intervals", arrays, {"spread": 1.0, "items": 2})


async def test_promoted_versions_are_taken_up_one_after_another(tmp_path: Path) -> None:
    learned = Learned(str(tmp_path))
    predict, refill_days = learned.predict, learned.refill_days
    await learned.look()
    before = predict(BUYER, 2)
    assert before is not None
    assert before.churn_probability is None
    assert refill_days("coffee") is None

    saved(tmp_path, "v1", Part("lifetime", {}, FITTED.facts()), intervals())
    saved(tmp_path, "v2", promote=False)
    await learned.look()
    assert learned.in_force.lifetime.models == FITTED
    after = predict(BUYER, 2)
    assert after is not None
    assert after.churn_probability is not None
    assert (refill_days("coffee"), refill_days("sofa")) == (14.5, None)

    saved(tmp_path, "v3")
    await learned.look()
    assert learned.in_force.version == "v3"
    assert refill_days("coffee") is None


@pytest.mark.parametrize(
    "facts",
    [
        {},
        FITTED.facts() | {"bg_nbd": {"r": 1.0}},
        FITTED.facts() | {"bg_nbd": {"r": -1.0, "alpha": 1.0, "a": 1.0, "b": 1.0}},
    ],
)
async def test_a_damaged_version_is_passed_over_once(
    tmp_path: Path, facts: dict[str, object]
) -> None:
    saved(tmp_path, "v1", Part("lifetime", {}, FITTED.facts()))
    learned = Learned(str(tmp_path))
    await learned.look()
    saved(tmp_path, "v2", Part("lifetime", {}, facts))
    with pytest.raises(InvalidInput, match="v2 is damaged"):
        await learned.look()
    await learned.look()
    assert learned.in_force.version == "v1"
