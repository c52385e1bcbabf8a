"""What training learned as sources of candidates, and its reasons: likes, vectors, what is due."""

import numpy as np

from services.recommend.candidates.intervals import Intervals
from services.recommend.request import RecommendRequest
from services.recommend.similar.model import MOST_PARTNERS, Similar
from services.recommend.situation import situate
from services.recommend.vectors.model import Fold, Vectors
from shared.catalogue import ItemChanged
from shared.profile import BOUGHT, DAY_MS, VIEWED, Interest, Session, View
from tests.unit.recommend.shop import ITEMS, Shop, ids, withheld

NOW = 400 * DAY_MS


def liking(shop: Shop, item: str, **partners: float) -> None:
    """Those who like the item like these."""
    place_of = np.full(len(shop.numbers), -1, dtype=np.int64)
    place_of[shop.numbers.known(item)] = 0
    numbers = np.zeros((1, MOST_PARTNERS), dtype=np.int64)
    scores = np.zeros((1, MOST_PARTNERS))
    numbers[0, : len(partners)] = [shop.numbers.known(name) for name in partners]
    scores[0, : len(partners)] = list(partners.values())
    lengths = np.array([len(partners)], dtype=np.int64)
    shop.knowledge.similar = Similar(place_of, numbers, scores, lengths)


def test_what_is_like_the_newest_of_the_session() -> None:
    shop = Shop()
    liking(shop, "a1", b4=0.9, a2=0.3)
    view = View(session=Session(1, 900, ["a3", "a1"]))
    choice = shop.ask(view=view, n=2)
    assert ids(choice) == ["b4", "a2"]
    assert choice.sources["similar"] == 2
    assert choice.fallback == "none"
    reason = choice.items[0].reasons[0]
    assert reason.code == "similar_item"
    assert reason.evidence["similarity"] == 0.9
    assert [event["item"] for event in reason.evidence["events"]] == ["a1"]


def test_what_lies_nearest_to_the_shoppers_vector() -> None:
    shop = Shop()
    size = len(shop.numbers)
    vectors = np.zeros((size, 2), dtype=np.float32)
    for name, at in {"a1": (1, 0), "b2": (3, 0.1), "b3": (0, 2)}.items():
        vectors[shop.numbers.known(name)] = at
    known = vectors.any(axis=1)
    unit = Fold(np.eye(2, dtype=np.float32), np.zeros(2, dtype=np.float32))
    shop.knowledge.vectors = Vectors(
        vectors, np.zeros(size, np.float32), known, known.astype(np.int32), fold=unit
    )
    view = View(session=Session(1, 900, ["a1"]))
    choice = shop.ask(view=view, n=1)
    assert ids(choice) == ["b2"]
    assert choice.sources["vector"] == 3
    assert choice.items[0].reasons[0].code == "taste"
    assert choice.items[0].reasons[0].evidence["events"][0]["item"] == "a1"


def buyer(**changes: object) -> View:
    bought = {"bought": ["a1", "a2"], "bought_days": [0, 0], "bought_times": [3, 1]}
    return View(clock=NOW, recent=[Interest(1, BOUGHT, "a1")], **(bought | changes))  # type: ignore[arg-type]


def habits(shop: Shop, **days: float) -> None:
    typical = np.zeros(len(shop.numbers))
    for name, often in days.items():
        typical[shop.numbers.known(name)] = often
    shop.knowledge.intervals = Intervals(typical, np.where(typical > 0, 0.6, 0.0))


def test_what_was_bought_is_offered_again_when_it_is_due_and_not_before() -> None:
    shop = Shop()
    habits(shop, a1=30)
    shop.viewed(**dict.fromkeys(ITEMS, 3))
    early = shop.ask(view=buyer(), n=12, now=NOW + DAY_MS)
    assert withheld(early) == {"bought": 2}
    due = shop.ask(view=buyer(), n=12, now=NOW + 30 * DAY_MS)
    assert withheld(due) == {"bought": 1}
    assert ids(due)[0] == "a1"
    assert due.sources["again"] == 1
    reason = due.items[0].reasons[0]
    assert reason.code == "buy_again"
    assert reason.evidence == {"days_ago": 30, "interval_days": 30, "times": 3}


def test_what_is_due_is_withheld_for_any_other_reason() -> None:
    shop = Shop(a2={"stock": 0})
    habits(shop, a1=30, a2=30)
    shop.viewed(**dict.fromkeys(ITEMS, 3))
    later = NOW + 30 * DAY_MS
    for view in (buyer(dismissed=["a1"]), buyer(cart=["a1"])):
        assert not {"a1", "a2"} & set(ids(shop.ask(view=view, n=12, now=later)))
    # a view that does not say when tells nothing that is due
    assert "a1" not in ids(shop.ask(view=buyer(bought_days=[]), n=12, now=later))


def test_new_items_are_candidates_and_say_so() -> None:
    shop = Shop(b5={"valid_from": NOW - 3 * DAY_MS})
    shop.viewed(**dict.fromkeys(ITEMS[:4], 2))
    choice = shop.ask(n=12, now=NOW)
    assert choice.sources["new"] == 1
    item = next(item for item in choice.items if item.id == "b5")
    assert item.reasons[0].code == "new_item"
    assert item.reasons[0].evidence == {"days_ago": 3}


def test_a_new_item_is_explored_before_what_is_known() -> None:
    shop = Shop(b5={"valid_from": NOW - DAY_MS})
    shop.viewed(**{name: 90 - place for place, name in enumerate(ITEMS[:10])})
    table = np.zeros((12, 5), dtype=np.int64)
    table[:, 3] = 10_000
    shop.knowledge.posteriors.refresh(table, shop.catalogue.columns.category[:12])
    offered = {ids(shop.ask(n=3, explore=1.0, now=NOW, seed=str(seed)))[-1] for seed in range(50)}
    # nobody else is an arm, though all of them have drawn as much
    assert offered == {"b5"}


def test_items_that_came_after_training_are_given_vectors_and_likes() -> None:
    shop = Shop()
    covered: list[int] = []

    class Covering(Vectors):
        def cover(self, number: int, item: ItemChanged) -> None:
            covered.append(number)

    vectors = Covering()
    object.__setattr__(
        vectors, "labels", vectors.labels.__class__(["x"], *[np.zeros((1, 0), np.float32)] * 2, 0.0)
    )
    shop.knowledge.vectors = vectors
    for turn in range(1, 5):
        shop.ask(now=NOW)
        shop.knowledge._covered_at -= 10_000 * turn
    assert sorted(covered) == sorted(shop.numbers.known(name) for name in ITEMS)


def test_who_the_vector_is_of_counts_only_where_the_profile_may_be_used() -> None:
    request = RecommendRequest(customer="bob")
    view = View(recent=[Interest(1, VIEWED, "a1")])
    assert situate(request, view, None, "c:ann").identity == "c:ann"
    # a claim that nobody proved names no one
    assert situate(request, view, None).identity is None
    assert situate(request, None, None, "c:ann").identity is None
    view.paused = True
    assert situate(request, view, None, "c:ann").identity is None
