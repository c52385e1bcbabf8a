"""Hard rules of availability and of one call's terms: season by place, age, categories, filters."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.recommend.asking import Categories, Defaults, ask_of
from services.recommend.catalogue.terms import margin_of, min_age_of, seasons_of
from services.recommend.request import Context, RecommendRequest
from services.recommend.seasons import in_season, next_month
from shared.catalogue import Cap, ItemChanged, PlacementChanged
from shared.profile import BOUGHT, DAY_MS, Interest, Session, View
from tests.unit.recommend.shop import ITEMS, Shop, ids, withheld

NORTHERN = {
    "winter": (12, 1, 2),
    "spring": (3, 4, 5),
    "summer": (6, 7, 8),
    "autumn": (9, 10, 11),
}
OPPOSITE = {"winter": "summer", "summer": "winter", "spring": "autumn", "autumn": "spring"}


def at(month: int, day: int = 15) -> int:
    return int(datetime(2026, month, day, tzinfo=UTC).timestamp()) * 1_000


def item(price: int | None = None, **fields: Any) -> ItemChanged:
    return ItemChanged(item="x", price=price, fields=fields)


def in_season_there(names: list[Any], country: str | None, month: int) -> bool:
    bits = np.array([seasons_of(item(seasons=names))], dtype=np.int32)
    return bool(in_season(bits, country, at(month))[0])


@pytest.mark.parametrize("month", range(1, 13))
@pytest.mark.parametrize("season", NORTHERN)
def test_the_shoppers_place_decides_the_hemisphere(season: str, month: int) -> None:
    north, south = month in NORTHERN[season], month in NORTHERN[OPPOSITE[season]]
    assert in_season_there([season], "DE", month) == north
    assert in_season_there([season], "AU", month) == south
    # nobody knows where the shopper is: it may be either
    assert not in_season_there([season], None, month)
    assert in_season_there([season, OPPOSITE[season]], None, month) == (north or south)


def test_months_are_the_same_everywhere_and_texts_are_read() -> None:
    for country in ("DE", "AU", None):
        assert in_season_there([12, "1"], country, 12)
        assert not in_season_there([12, "1"], country, 2)
    assert seasons_of(item(seasons="winter|6")) == seasons_of(item(seasons=["Winter", 6]))
    assert seasons_of(item(seasons="")) == seasons_of(item()) == 0
    # what cannot be read withholds the item all year
    assert not any(in_season_there(["wintre"], "DE", month) for month in range(1, 13))


def test_a_season_ends_with_its_month() -> None:
    assert next_month(at(12)) == int(datetime(2027, 1, 1, tzinfo=UTC).timestamp()) * 1_000
    shop = Shop(a1={"fields": {"seasons": ["winter"]}})
    request = RecommendRequest(context=Context(country="DE"))
    assert "a1" in ids(shop.ask(request, n=12, now=at(2, 28)))
    assert "a1" not in ids(shop.ask(request, n=12, now=at(3, 1)))


items = st.fixed_dictionaries(
    {
        "stock": st.sampled_from([None, 0, 1]),
        "fields": st.fixed_dictionaries(
            {"seasons": st.lists(st.sampled_from([*NORTHERN, *range(1, 13)]), max_size=2)}
        ),
    }
)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(items, min_size=12, max_size=12),
    st.sampled_from(["DE", "AU", None]),
    st.integers(1, 12),
    st.sampled_from(["personalised", "random"]),
)
def test_never_out_of_stock_or_out_of_season_there(
    described: list[dict[str, Any]], country: str | None, month: int, arm: Any
) -> None:
    shop = Shop(**dict(zip(ITEMS, described, strict=True)))
    shop.viewed(**dict.fromkeys(ITEMS[:8], 3))
    shop.session("a1", "b5", "b6")
    request = RecommendRequest(session=["a1"], context=Context(country=country))
    offered = ids(shop.ask(request, n=12, now=at(month), arm=arm, explore=1.0))
    may_be = {
        name
        for name, item in zip(ITEMS, described, strict=True)
        if item["stock"] != 0
        and (
            not item["fields"]["seasons"]
            or in_season_there(item["fields"]["seasons"], country, month)
        )
    }
    assert set(offered) == may_be


def test_an_age_must_be_known_and_reached() -> None:
    shop = Shop(a1={"fields": {"min_age": 18}}, a2={"fields": {"min_age": "21"}})
    shop.viewed(**dict.fromkeys(ITEMS, 3))
    for age, held in ((None, 2), (17, 2), (18, 1), (20, 1), (21, 0)):
        choice = shop.ask(RecommendRequest(context=Context(age=age)), n=12)
        assert withheld(choice).get("age", 0) == held
        assert len(ids(choice)) == 12 - held
    # what cannot be read is for nobody
    assert min_age_of(item(min_age="adults")) > 130


def test_a_placements_categories() -> None:
    shop = Shop(b6={"category": None})
    shop.viewed(**dict.fromkeys(ITEMS, 3))
    only = shop.ask(n=12, categories=Categories(only=("a", "unheard of")))
    assert {name[0] for name in ids(only)} == {"a"}
    assert withheld(only) == {"category": 6}
    never = shop.ask(n=12, categories=Categories(never=("a",)))
    assert sorted(ids(never)) == ["b1", "b2", "b3", "b4", "b5", "b6"]


def test_filters_are_a_mask_of_rows() -> None:
    shop = Shop()
    shop.viewed(**dict.fromkeys(ITEMS, 3))
    first, second = np.zeros(12, dtype=np.bool_), np.ones(12, dtype=np.bool_)
    first[:2] = True
    for arm in ("personalised", "random"):
        choice = shop.ask(n=12, allowed=first, arm=arm)  # type: ignore[arg-type]
        assert sorted(ids(choice)) == ["a1", "a2"]
        assert withheld(choice) == {"filtered": 10}
    assert len(ids(shop.ask(n=12, allowed=second))) == 12
    # rows that came after the mask was made are not allowed
    assert sorted(ids(shop.ask(n=12, allowed=second[:3].copy()))) == ["a1", "a2", "a3"]


def test_what_restrictions_keep_follows_the_catalogue() -> None:
    shop = Shop()
    mask = np.ones(12, dtype=np.bool_)
    assert "a1" in ids(shop.ask(n=12, allowed=mask, now=1_000))
    shop.catalogue.put(ItemChanged(item="a1", stock=0))
    assert "a1" not in ids(shop.ask(n=12, allowed=mask, now=2_000))


def test_the_requests_terms_come_before_the_placements_and_those_before_the_defaults() -> None:
    defaults = Defaults(surprise=0.2, explore=0.3, cap=Cap(times=2, days=3), country="FR")
    bare = ask_of(RecommendRequest(), Context(), None, defaults)
    assert (bare.n, bare.surprise, bare.explore, bare.home) == (10, 0.2, 0.3, "FR")
    assert (bare.cap, bare.objective) == (Cap(times=2, days=3), "conversion")
    placement = PlacementChanged(
        placement="p",
        n=4,
        surprise=0.0,
        explore_share=0.0,
        objective="margin",
        cap=Cap(times=1, days=1),
        only_categories=["a"],
        most_of_category=2,
    )
    placed = ask_of(RecommendRequest(), Context(age=30), placement, defaults)
    assert (placed.n, placed.surprise, placed.explore, placed.age) == (4, 0.0, 0.0, 30)
    assert (placed.cap, placed.objective) == (Cap(times=1, days=1), "margin")
    assert (placed.categories.only, placed.most_of_category) == (("a",), 2)
    own = ask_of(
        RecommendRequest(n=2, surprise=1.0, objective="click"), Context(), placement, defaults
    )
    assert (own.n, own.surprise, own.objective) == (2, 1.0, "click")


def test_margins_out_of_fields() -> None:
    assert margin_of(item(100, margin=30)) == 30
    assert margin_of(item(100, cost="60")) == 40
    assert margin_of(item(100, cost=160)) == 0
    assert margin_of(item(100)) == margin_of(item(None, cost=5)) == -1


def test_a_cap_withholds_what_was_shown_in_vain_until_its_days_are_over() -> None:
    shop = Shop()
    shop.viewed(**dict.fromkeys(ITEMS, 3))
    clock = at(6)
    view = View(clock=clock, shown=[("a1", 3, 0), ("a2", 2, 0), ("a3", 3, 5)])
    cap = Cap(times=3, days=5)
    for arm in ("personalised", "random"):
        choice = shop.ask(view=view, n=12, cap=cap, now=clock, arm=arm)  # type: ignore[arg-type]
        assert withheld(choice) == {"capped": 1}
        assert "a1" not in ids(choice)
    later = shop.ask(view=view, n=12, cap=cap, now=clock + 5 * DAY_MS)
    assert withheld(later) == {}
    assert withheld(shop.ask(view=view, n=12, now=clock)) == {}


def test_place_and_age_of_the_profile_stand_where_the_request_says_nothing() -> None:
    shop = Shop(
        a1={"countries": ["FR"]},
        a2={"fields": {"min_age": 18}},
        a3={"fields": {"seasons": ["winter"]}},
    )
    adult = View(country="FR", born=2_000)
    asked = set(ids(shop.ask(view=adult, n=12, now=at(1))))
    assert {"a1", "a2", "a3"} <= asked
    # who is born that year may not have had the birthday yet
    assert "a2" not in ids(shop.ask(view=View(born=2_008), n=12, now=at(1)))
    elsewhere = RecommendRequest(context=Context(country="AU", age=10))
    assert set(ids(shop.ask(elsewhere, adult, n=12, now=at(1)))) == set(ITEMS) - {"a1", "a2", "a3"}
    # the shop's own place, where nobody knows the shopper's
    assert {"a1", "a3"} <= set(ids(shop.ask(n=12, now=at(1), home="FR")))


def test_a_paused_shopper_is_offered_what_a_stranger_is() -> None:
    """Nothing of the profile reaches the answer: not what it withholds, nor what it prefers."""
    shop = Shop(a1={"countries": ["FR"]}, a2={"fields": {"min_age": 18}})
    shop.viewed(**dict.fromkeys(ITEMS, 3))
    shop.session("b1", "b2")
    shop.order("1", "b3", "b4")
    shop.order("2", "b3", "b4")
    view = View(
        clock=at(1),
        events=50,
        paused=True,
        session=Session(1, 2, ["b1"]),
        recent=[Interest(1, BOUGHT, "b3")],
        cart=["a3"],
        bought=["a4"],
        dismissed=["a5"],
        affinities={"category": [("b", 1000)]},
        bought_days=[400],
        bought_times=[5],
        shown=[("a6", 99, 0)],
        country="FR",
        born=1_950,
    )
    request = RecommendRequest(session=["b2"])
    for arm in ("personalised", "random"):
        terms: Any = {"n": 12, "now": at(1), "cap": Cap(times=1, days=5), "arm": arm}
        paused, stranger = shop.ask(request, view, **terms), shop.ask(request, None, **terms)
        assert paused.offers == stranger.offers
        assert paused.filtered == stranger.filtered
        assert paused.propensities == stranger.propensities
