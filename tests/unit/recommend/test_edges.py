"""What is legal and seldom: items that nobody has in the catalogue, a catalogue or a model that has
just grown, a shopper whom the request only claims."""

import json
from typing import Any, cast

import numpy as np
import pytest

from services.recommend import listing
from services.recommend.asking import Ask
from services.recommend.candidates.intervals import Intervals
from services.recommend.candidates.pool import Shopper
from services.recommend.features import FEATURES
from services.recommend.filters import FilterMasks
from services.recommend.knowledge import Choice, Moment
from services.recommend.learned_reasons import LearnedReasons
from services.recommend.objective import Worth, values
from services.recommend.ranking import LinearRanker, Ranked
from services.recommend.request import Context, Promotions, RecommendRequest
from services.recommend.service import Named, Recommender, Visit
from services.recommend.settings import RecommendSettings
from services.recommend.similar.model import Similar
from services.recommend.situation import Situation, situate
from services.recommend.statistics import ItemStatistics, parse_bucket
from services.recommend.store import Seen
from services.recommend.vectors.model import Fold, Labels, Owners, Vectors
from shared.catalogue import ItemChanged
from shared.clock import Clock
from shared.decisions import ModelName
from shared.errors import NotFound
from shared.keys import COUNTRY_MARK
from shared.profile import BOUGHT, DAY_MS, Interest, Session, View
from tests.unit.recommend.shop import Shop, ids

MOMENT = Moment(1_000, 1_000, "decision", lambda: False)


def plane(shop: Shop, owners: Owners | None = None, **places: tuple[float, float]) -> Vectors:
    """Vectors of two dimensions, of these items alone."""
    vectors = np.zeros((len(shop.numbers), 2), dtype=np.float32)
    for name, at in places.items():
        vectors[shop.numbers.known(name)] = at
    known = vectors.any(axis=1)
    fold = Fold(np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.float32))
    none = np.zeros(len(vectors), dtype=np.float32)
    owned = {} if owners is None else {"owners": owners}
    return Vectors(vectors, none, known, known.astype(np.int32), fold=fold, **owned)


def test_items_that_the_catalogue_never_had_are_no_trouble_in_a_session() -> None:
    shop = Shop()
    elsewhere = [f"elsewhere{place}" for place in range(200)]
    shop.session(*elsewhere)
    assert len(shop.numbers) > len(shop.knowledge.stock.row_of)
    assert len(ids(shop.ask(RecommendRequest(session=elsewhere[-5:])))) == 5


def test_a_list_is_ordered_though_some_of_it_came_a_moment_ago() -> None:
    shop = Shop()
    terms = situate(RecommendRequest(), None, None), shop.knowledge, Ask(n=3), MOMENT
    listing.rerank(["a1"], *terms)
    shop.catalogue.put(ItemChanged(item="a7"))
    choice = listing.rerank(["a7", "a1"], *terms)
    assert ids(choice) == ["a1"]
    assert choice.left == [("a7", "unknown_item")]


def test_what_is_due_again_is_in_order_and_not_among_what_may_not_be_offered() -> None:
    shop = Shop()
    shop.knowledge.intervals = Intervals(np.full(64, 30.0), np.full(64, 0.6))
    view = View(clock=40 * DAY_MS, bought=["a1", "a2"], bought_days=[30, 0], bought_times=[3, 1])
    moment = Moment(40 * DAY_MS, 1_000, "decision", lambda: False)
    situation = situate(RecommendRequest(), view, None)
    choice = listing.rerank(["a2", "a1", "b1"], situation, shop.knowledge, Ask(n=3), moment)
    assert ids(choice) == ["a1", "b1"]
    assert choice.left == [("a2", "bought")]


def test_what_is_like_an_item_does_not_follow_the_customers_own_taste_or_habits() -> None:
    shop = Shop()
    owned = np.array([[0.0, 1.0]], dtype=np.float32), np.array([100.0], dtype=np.float32)
    owner = Owners.of(b"key", ["c:ann"], *owned)
    shop.knowledge.vectors = plane(shop, owner, a1=(1.0, 0.0), b5=(1.0, 0.1), b6=(0.0, 1.0))
    shop.knowledge.intervals = Intervals(np.full(64, 30.0), np.full(64, 0.6))
    view = View(clock=40 * DAY_MS, bought=["b4"], bought_days=[30], bought_times=[3])
    moment = Moment(40 * DAY_MS, 1_000, "decision", lambda: False)
    ann = situate(RecommendRequest(), view, None, "c:ann")
    choice = listing.similar("a1", ann, shop.knowledge, Ask(n=12), moment)
    found = ids(choice)
    assert found.index("b5") < found.index("b6")
    assert choice.sources["again"] == 0
    # bought is bought all the same
    assert "b4" not in found


def test_a_categorys_limit_looks_beyond_the_first_few() -> None:
    shop = Shop()
    for place in range(40):
        shop.catalogue.put(ItemChanged(item=f"c{place:02}", category="a"))
    shop.knowledge.stock.align()
    shop.viewed(**{f"c{place:02}": 100 - place for place in range(40)}, b6=2, b5=1)
    choice = shop.ask(n=2, most_of_category=1)
    assert ids(choice) == ["c00", "b6"]


def test_trending_looks_for_other_categories_where_one_is_full() -> None:
    shop = Shop()
    shop.viewed(**{f"a{place}": 10 for place in range(1, 7)}, b6=1)
    situation = situate(RecommendRequest(), None, None)
    ask = Ask(n=2, most_of_category=1)
    assert ids(listing.trending(None, situation, shop.knowledge, ask, MOMENT)) == ["a1", "b6"]


def test_the_first_items_of_a_shop_are_worth_nothing_yet() -> None:
    rows = np.array([0, 3])
    features, none = np.zeros((2, 1)), np.empty(0)
    ranked = Ranked(rows, ("x",), features, np.zeros(2), none, lambda matrix: matrix)
    ranker = LinearRanker(ModelName(name="linear", version="1"))
    assert values("revenue", ranked, ranker, Worth()).tolist() == [0.0, 0.0]
    assert values("revenue", ranked, ranker, Worth(revenue=np.full(1, 2.0))).tolist() == [
        pytest.approx(2.0 / (1.0 + np.exp(4.0))),
        0.0,
    ]


def test_a_filter_by_true_is_none_by_one() -> None:
    shop = Shop(a1={"fields": {"new": True}}, a2={"fields": {"new": "true"}})
    masks = FilterMasks(shop.catalogue)
    for _ in range(2):
        by_truth, by_number = masks.mask({"new": True}, 0), masks.mask({"new": 1.0}, 0)
        assert by_truth is not None
        assert by_number is not None
        assert np.flatnonzero(by_truth).tolist() == [0, 1]
        assert np.flatnonzero(by_number).tolist() == [0]


@pytest.mark.parametrize(
    ("told", "country"), [("au", "AU"), ("DE", "DE"), ("Germany", None), ("", None), ("ßß", None)]
)
def test_a_country_that_is_no_code_is_no_place(told: str, country: str | None) -> None:
    situation = situate(RecommendRequest(), View(country=told), None)
    assert situation.country == country


def test_a_place_by_any_other_name_has_no_season() -> None:
    shop = Shop(a1={"fields": {"seasons": "winter"}})
    request = RecommendRequest(context=Context(item="a2"))
    assert "a1" not in ids(shop.ask(request, View(country="Australia"), n=12))


def test_a_reason_for_buying_again_needs_an_interval() -> None:
    shop = Shop(a1={"repeatable": True})
    view = View(bought=["a1"], bought_days=[3], recent=[Interest(1, BOUGHT, "a1")])
    situation = situate(RecommendRequest(), view, None)
    number, row = shop.numbers.known("a1"), 0
    knowledge = shop.knowledge
    again = list(FEATURES).index("again")
    shopper = Shopper([], [], [], [], {}, [])

    def reason(intervals: Intervals) -> str:
        knowledge.intervals = intervals
        made = LearnedReasons(situation, shopper, knowledge, 1_000)
        return made.reason(again, number, row, lambda _: "[]")

    assert reason(Intervals()) == ""
    assert reason(Intervals(np.zeros(64), np.zeros(64))) == ""
    assert json.loads(reason(Intervals(np.full(64, 5.0), np.ones(64))))["code"] == "buy_again"


def test_likes_are_found_for_the_newest_items_whatever_room_their_vectors_have() -> None:
    shop = Shop()
    vectors = plane(shop, a1=(1.0, 0.0))
    vectors.labels = Labels(["category=a"], np.ones((1, 2), np.float32), np.zeros(1, np.float32), 0)
    vectors._places = {"category=a": 0}
    similar = Similar()
    for count, category in enumerate(["a", "none"] * 100, start=1):
        number = shop.numbers.number(f"new{count}")
        vectors.cover(number, ItemChanged(item=f"new{count}", category=category))
        similar.cover(np.array([number, number + 1, number + 9]), vectors)
    assert len(similar.partners(shop.numbers.known("new1"))[0])
    assert not len(similar.partners(shop.numbers.known("new2"))[0])


def test_growing_statistics_are_read_no_further_than_their_draws() -> None:
    shop = Shop()
    shop.viewed(a1=1)
    posteriors = shop.knowledge.posteriors
    posteriors.shown = np.zeros(64, dtype=np.int64)
    choice = shop.ask(n=3, explore=1.0, view=View(session=Session(1, 900, ["a1"])))
    assert not any(item.explore for item in choice.items)


def test_a_customer_whom_a_request_only_claims_is_nobody() -> None:
    shop, seen = Shop(), Seen(View(events=1), None)
    unused = cast("Any", None)
    recommender = Recommender(
        RecommendSettings(), Clock(), shop.knowledge, unused, unused, unused, unused
    )
    situations: list[Situation] = []

    def choose(situation: Situation, *_rest: object) -> Choice:
        situations.append(situation)
        raise NotFound("that is all this asks for")

    for named in (Named(None, "visitor"), Named("ann", None)):
        with pytest.raises(NotFound):
            recommender.offer(
                Visit(named, seen, None, 0.0, 50),
                RecommendRequest(customer="ann"),
                Ask(),
                "home",
                choose,
            )
    assert [situation.identity for situation in situations] == ["a:visitor", "c:ann"]


def test_trends_are_kept_of_countries_that_a_request_can_name() -> None:
    shop, statistics = Shop(), ItemStatistics()
    named = [f"Land {number}" for number in range(40)] + ["de", "D\u00c4", "", "DE"]
    fields = {f"a1{COUNTRY_MARK}{country}".encode(): b"1,0,0,0,0" for country in named}
    statistics.put(0, 1, parse_bucket(fields, shop.numbers))
    assert list(statistics.countries) == ["DE"]


def test_what_is_due_has_room_however_much_there_is_for_everybody() -> None:
    shop, now = Shop(), 40 * DAY_MS
    for place in range(1_400):
        new = now - 1 if place >= 1_200 else None
        group = (place - 700) // 30 if 700 <= place < 790 else "other"
        brand = (place - 790) // 30 if 790 <= place < 850 else "other"
        shop.catalogue.put(
            ItemChanged(item=f"i{place}", category=f"c{group}", brand=f"b{brand}", valid_from=new)
        )
    shop.knowledge.stock.align()
    shop.viewed(**{f"i{place}": 9 for place in (*range(700, 850), *range(900, 1_100))})
    for first in range(0, 306, 18):
        shop.session("a6", *(f"i{place}" for place in range(first, first + 18)))
    seen = ["a3", "a4", "a5", "a6"]
    likes = Similar(np.full(2_000, -1), *(np.zeros((4, 50)).astype(kind) for kind in (int, float)))
    likes.lengths = np.full(4, 50)
    for at, item in enumerate(seen):
        for order in range(50):
            shop.order(f"o{at}.{order}", item, f"i{306 + 50 * at + order}")
        likes.place_of[shop.numbers.known(item)] = at
        likes.numbers[at] = [shop.numbers.known(f"i{506 + 48 * at + order}") for order in range(50)]
        likes.scores[at] = 0.5
    shop.knowledge.similar = likes
    typical = np.zeros(len(shop.numbers))
    typical[shop.numbers.known("b1")] = 30.0
    shop.knowledge.intervals = Intervals(typical, np.where(typical > 0, 0.9, 0.0))
    tastes = {"category": [("c0", 3), ("c1", 2), ("c2", 1)], "brand": [("b0", 2), ("b1", 1)]}
    view = View(
        clock=now,
        session=Session(1, 2, seen),
        cart=seen[:2],
        recent=[Interest(1, BOUGHT, item) for item in seen[2:]],
        bought=["b1"],
        bought_days=[30],
        bought_times=[5],
        affinities=tastes,
    )
    promised = Promotions(share=0.01, items=[f"i{place}" for place in range(1_100, 1_200)])
    choice = shop.ask(view=view, n=100, now=now, promotions=promised)
    assert sum(choice.sources.values()) > 1_000
    assert "b1" in ids(choice)
