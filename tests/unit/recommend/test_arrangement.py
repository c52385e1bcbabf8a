"""From ranked to shown: diversity by the dial, limits of a category, promised shares, value."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from services.recommend.diversity import NO_LIMIT, choose, likeness
from services.recommend.request import Promotions
from shared.catalogue import OfferChanged
from shared.profile import View
from tests.unit.recommend.shop import ITEMS, Shop, ids

NO_VECTORS = np.zeros((12, 0), dtype=np.float32)


def categories(found: list[str]) -> Counter[str]:
    return Counter(name[0] for name in found)


def trending(**changes: Any) -> Shop:
    """All of category a trend more than all of b."""
    shop = Shop(**changes)
    shop.viewed(**{name: 2 ** (14 - place) for place, name in enumerate(ITEMS)})
    return shop


def test_the_dial_goes_from_scores_alone_to_as_unlike_as_it_gets() -> None:
    codes = np.array([[place // 4] for place in range(12)], dtype=np.int32)
    scores = np.linspace(1.0, 0.0, 12)
    unpromised = (np.zeros(12, dtype=np.bool_), 0.0)
    found = [
        choose(
            scores, codes, NO_VECTORS, np.zeros(12), (4, dial, 100, NO_LIMIT), unpromised
        ).tolist()
        for dial in (0.0, 0.5, 1.0)
    ]
    assert found[0] == [0, 1, 2, 3]
    kinds = [len({place // 4 for place in places}) for places in found]
    assert kinds == sorted(kinds)
    assert kinds[-1] == 3


def test_what_the_shopper_knows_gives_way_to_surprise() -> None:
    shop = trending()
    view = View(affinities={"category": [("a", 1000)]})
    known = categories(ids(shop.ask(view=view, n=4, surprise=0.0)))
    new = categories(ids(shop.ask(view=view, n=4, surprise=1.0)))
    assert known["a"] > new["a"]


def test_likeness_is_of_codes_and_vectors() -> None:
    codes = np.array([[1, 7], [1, 8], [2, 9], [-1, -1]], dtype=np.int32)
    none = np.zeros((4, 0), dtype=np.float32)
    assert likeness(codes, none, 0, 0) == 1.0
    assert likeness(codes, none, 0, 1) == pytest.approx(1 / 3)
    assert likeness(codes, none, 0, 2) == likeness(codes, none, 3, 3) == 0.0
    vectors = np.array([[1, 0], [0.6, 0.8], [-1, 0], [0, 0]], dtype=np.float32)
    assert likeness(codes, vectors, 0, 1) == pytest.approx((1 / 3 + 0.6) / 2)
    assert likeness(codes, vectors, 0, 2) == 0.0


def test_no_feed_of_a_single_category_while_others_are_at_hand() -> None:
    assert categories(ids(trending().ask(n=5))) == {"a": 3, "b": 2}
    few = trending(**{name: {"stock": 0} for name in ITEMS[7:]})
    assert categories(ids(few.ask(n=6))) == {"a": 5, "b": 1}


def test_a_placements_limit_of_a_category_holds_whatever_is_left() -> None:
    shop = trending(**{name: {"stock": 0} for name in ITEMS[7:]})
    shop.knowledge.posteriors.refresh(
        np.zeros((12, 5), dtype=np.int64), shop.catalogue.columns.category[:12]
    )
    for seed in range(20):
        for arm in ("personalised", "random"):
            choice = shop.ask(n=6, most_of_category=2, explore=1.0, arm=arm, seed=str(seed))  # type: ignore[arg-type]
            assert categories(ids(choice)) == {"a": 2, "b": 1}


def test_the_random_arm_says_its_chances_under_a_limit() -> None:
    shop = Shop()
    choice = shop.ask(n=3, most_of_category=1, arm="random")
    # 12 at first; then 6 of the other category; then there is none left
    assert choice.propensities == [pytest.approx(1 / 12), pytest.approx(1 / 6)]


def test_promoted_items_have_their_share_spread_and_say_so() -> None:
    shop = trending(b6={"stock": 0})
    promotions = Promotions(share=0.5, items=["b4", "b5", "b6", "unheard of"])
    choice = shop.ask(n=4, promotions=promotions)
    assert ids(choice) == ["a1", "b4", "a2", "b5"]
    marked = [item.id for item in choice.items if item.reasons[0].code == "promoted"]
    assert marked == ["b4", "b5"]
    assert choice.items[1].reasons[0].evidence == {"item": "b4"}
    assert choice.sources["promoted"] == 3
    # as many as there are, and no more than policy allows
    assert {"b4", "b5"} < set(ids(shop.ask(n=12, promotions=promotions)))
    assert "b6" not in ids(shop.ask(n=12, promotions=promotions))


def test_promotions_are_items_of_offers_that_hold() -> None:
    shop = trending()
    shop.catalogue.put(OfferChanged(offer="gone", items=["b4"], valid_to=500))
    shop.catalogue.put(OfferChanged(offer="ten", items=["b5"]))
    shop.catalogue.put(OfferChanged(offer="two", items=["b6"]))
    everything = shop.ask(n=4, promotions=Promotions(share=0.5))
    assert {"b5", "b6"} <= set(ids(everything))
    one = shop.ask(n=4, promotions=Promotions(share=0.5, offers=["two", "gone", "unheard of"]))
    assert set(ids(one)) & {"b4", "b5", "b6"} == {"b6"}


def test_a_promised_share_is_kept_when_a_slot_explores() -> None:
    shop = trending()
    shop.knowledge.posteriors.refresh(
        np.zeros((12, 5), dtype=np.int64), shop.catalogue.columns.category[:12]
    )
    promotions = Promotions(share=0.5, items=["b4", "b5"])
    for seed in range(40):
        choice = shop.ask(n=4, explore=1.0, promotions=promotions, seed=str(seed))
        assert {"b4", "b5"} <= set(ids(choice))
        assert sum(item.explore for item in choice.items) == 1


def test_objectives_weigh_what_a_sale_brings() -> None:
    shop = Shop(
        a1={"price": 100, "fields": {"margin": 1}},
        a2={"price": 100, "fields": {"cost": 10}},
        a3={"price": 5_000, "fields": {"margin": 2}},
    )
    shop.viewed(**dict.fromkeys(ITEMS, 9) | {"a1": 12})
    assert ids(shop.ask(n=1, objective="click")) == ["a1"]
    assert ids(shop.ask(n=1, objective="conversion")) == ["a1"]
    assert ids(shop.ask(n=1, objective="revenue")) == ["a3"]
    assert ids(shop.ask(n=1, objective="margin")) == ["a2"]


def test_an_unknown_margin_is_the_usual_share_of_the_price() -> None:
    shop = Shop(
        a1={"price": 100, "fields": {"margin": 20}},
        a2={"price": 200, "fields": {}},
        a3={"price": 100, "fields": {"margin": 30}},
    )
    shop.knowledge.worth.refresh(shop.catalogue)
    assert shop.knowledge.worth.margin[:3].tolist() == [20.0, pytest.approx(50.0), 30.0]


def test_filters_find_what_trends_among_the_few_they_leave() -> None:
    shop = trending()
    allowed = np.zeros(12, dtype=np.bool_)
    allowed[[9, 11]] = True
    choice = shop.ask(n=2, allowed=allowed)
    assert ids(choice) == ["b4", "b6"]
    assert choice.fallback == "trending"
    assert choice.items[0].reasons[0].code == "trending"
