"""What a decision made use of is gone with it: nothing is left that refers to itself, for which
the garbage collector would stop all requests now and then."""

import gc

import pytest

from services.recommend.request import Context, RecommendRequest
from shared.profile import Interest, Session, View
from tests.unit.recommend.shop import Shop


@pytest.mark.parametrize("arm", ["personalised", "random"])
def test_a_decision_leaves_nothing_to_the_garbage_collector(arm: str) -> None:
    shop = Shop()
    shop.session("a1", "a2", "a3")
    shop.order("o", "a1", "b1")
    shop.viewed(a1=5, b2=9)
    view = View(
        clock=900,
        session=Session(1, 900, ["a1"]),
        recent=[Interest(900, 1, "a1")],
        cart=["a1"],
        affinities={"category": [("a", 9)]},
    )
    request = RecommendRequest(context=Context(item="a1", country="DE"))
    shop.ask(request, view, arm=arm)  # type: ignore[arg-type]
    gc.collect()
    gc.disable()
    try:
        for _ in range(5):
            choice = shop.ask(request, view, arm=arm, explore=1.0, surprise=0.5)  # type: ignore[arg-type]
        assert choice.offers
        del choice
        assert gc.collect() == 0
    finally:
        gc.enable()
