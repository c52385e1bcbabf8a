"""The rule of promotion: worse is what the paired interval says, on the same held-out cases."""

import random
from dataclasses import replace

import numpy as np
import pytest

from services.recommend.training.baskets import Completion, cases, hits, train
from services.recommend.training.building import HistoryBuilder
from services.recommend.training.history import History
from services.recommend.training.holding_out import FEWEST, hold_out, sessions_of
from services.recommend.training.measuring import ANEW, AS_IT_STANDS, MISSING_ITEM, NEXT_ITEM
from services.recommend.training.promotion import POPULARITY, compare, reasons_against
from services.recommend.training.training_run import Trained, train_all
from shared.events import ItemViewed, Line, Purchased, encode
from shared.models.metadata import Metadata
from shared.models.store import Version

MINUTE = 60_000
HOUR = 60 * MINUTE


def shop(visits: int = 900, *, seed: int = 3, sense_from: int = 0, begin: int = 0) -> History:
    """Visits to one of 12 shelves each, where one item leads to the next, and orders of them;
    before visit `sense_from` anything follows anything."""
    dice, builder = random.Random(seed), HistoryBuilder()
    for visit in range(begin, begin + visits):
        shelf, key = dice.randrange(12), f"c:c{visit % 150}".encode()
        first = dice.randrange(5)
        items = [f"i{shelf}-{(first + step) % 5}" for step in range(4)]
        if visit < sense_from:
            items = [f"i{dice.randrange(12)}-{dice.randrange(5)}" for _ in range(4)]
        at = visit * HOUR
        for step, item in enumerate(items):
            fact = ItemViewed(event_id=f"{visit}-{step}", customer=key[2:].decode(), item=item,
                              occurred_at=at + step * MINUTE, received_at=at)  # fmt: skip
            builder.take(key, encode(fact))
        lines = [Line(item=item) for item in sorted(set(items))]
        order = Purchased(event_id=f"o{visit}", customer=key[2:].decode(), order=str(visit),
                          occurred_at=at + 9 * MINUTE, received_at=at, lines=lines, total=1,
                          currency="EUR")  # fmt: skip
        builder.take(key, encode(order))
    return builder.history()


def version_of(history: History, trained: Trained, name: str = "v1") -> Version:
    data = {"facts": history.facts, "to": history.last}
    metadata = Metadata(name="linear", version=name, trained_at="", data=data)
    return Version(metadata, history.items, trained.parts)


def quietly(_: str) -> None: ...


def test_what_is_better_beyond_chance_and_what_is_not() -> None:
    random_ = np.random.default_rng(1)
    ours, groups = random_.random(400), np.arange(400) // 4
    same = compare("m", "v1", ours, ours, groups, 1)
    assert (same.difference, same.ci95, same.worse) == (0.0, (0.0, 0.0), False)
    noise = compare("m", "v1", ours, ours + random_.normal(0, 0.3, 400), groups, 1)
    assert not noise.worse
    worse = compare("m", "v1", ours - 0.1 * random_.random(400), ours, groups, 1)
    assert worse.worse
    assert worse.ci95[0] < worse.difference < worse.ci95[1] < 0
    (reason,) = reasons_against([same, noise, worse])
    assert "of v1 on 400 held-out cases" in reason


def test_whole_groups_are_drawn() -> None:
    """One customer's forty cases are one observation: the interval must not narrow with them."""
    difference = np.repeat(np.random.default_rng(2).normal(0, 1, 20), 40)
    grouped = compare("m", "v", difference, np.zeros(800), np.repeat(np.arange(20), 40), 1)
    alone = compare("m", "v", difference, np.zeros(800), np.arange(800), 1)
    assert grouped.ci95[1] - grouped.ci95[0] > 3 * (alone.ci95[1] - alone.ci95[0])


def test_the_newest_tenth_is_held_out() -> None:
    history = shop()
    held = hold_out(history)
    assert held is not None
    assert held.early.last < held.moment
    assert held.early.sessions + len(held.later) == history.sessions == 900
    assert held.early.orders + len(held.baskets) == history.orders == 900
    assert 80 <= len(held.later) <= 100
    newest = sessions_of(history)[-len(held.later) :]
    assert held.later == newest
    assert hold_out(shop(FEWEST // 2 - 1)) is None


def test_a_first_version_is_held_against_popularity() -> None:
    trained = train_all(shop(), None, 1, quietly, choose=False)
    assert {one.metric for one in trained.comparisons} == {NEXT_ITEM, MISSING_ITEM}
    assert {one.against for one in trained.comparisons} == {POPULARITY}
    assert all(one.ci95[0] > 0.1 for one in trained.comparisons)
    assert trained.against() == []
    assert trained.metrics[NEXT_ITEM]["value"] > trained.metrics[NEXT_ITEM][POPULARITY]["value"]


def test_the_same_data_again_is_no_worse_though_the_old_version_has_seen_it() -> None:
    history = shop()
    first = train_all(history, None, 1, quietly, choose=False)
    again = train_all(history, version_of(history, first), 1, quietly, choose=False)
    rivals = [one for one in again.comparisons if one.against == "v1"]
    assert {one.how for one in rivals} == {ANEW}
    assert all(one.difference == 0.0 for one in rivals)
    assert again.against() == []


def test_a_version_of_newer_data_is_held_against_the_old_one_as_it_stands() -> None:
    history = shop()
    first = train_all(history, None, 1, quietly, choose=False)
    newer = shop(900, seed=4, begin=900)
    trained = train_all(newer, version_of(history, first), 1, quietly, choose=False)
    assert {one.how for one in trained.comparisons if one.against == "v1"} == {AS_IT_STANDS}
    assert trained.against() == []


def test_a_version_of_worse_data_is_refused() -> None:
    history = shop()
    first = train_all(history, None, 1, quietly, choose=False)
    broken = shop(900, seed=4, begin=900, sense_from=1_705)
    trained = train_all(broken, version_of(history, first), 1, quietly, choose=False)
    refused = {one.metric for one in trained.comparisons if one.worse and one.against == "v1"}
    assert refused == {NEXT_ITEM, MISSING_ITEM}
    assert len([line for line in trained.against() if "of v1 on" in line]) == 2


def test_a_version_of_fewer_facts_repeats_nothing() -> None:
    history = shop()
    first = train_all(history, None, 1, quietly, choose=False)
    less = replace(history, facts=history.facts - 1)
    trained = train_all(less, version_of(history, first), 1, quietly, choose=False)
    assert {one.how for one in trained.comparisons if one.against == "v1"} == {AS_IT_STANDS}


@pytest.mark.parametrize("numbered", [False, True])
def test_baskets_are_completed_with_what_goes_with_them(numbered: bool) -> None:
    history = shop()
    part = train(history)
    assert part is not None
    local = np.arange(len(history.items))
    if numbered:
        local = np.concatenate(([0], np.random.default_rng(1).permutation(local[1:])))
    place = {item: int(local[number]) for number, item in enumerate(history.items)}
    completion = Completion(part, local)
    found = completion.complete([place["i3-0"], place["i3-1"]])
    shelf = {place[f"i3-{number}"] for number in (2, 3, 4)}
    assert set(found.tolist()) == shelf
    assert not set(completion.commonest([place["i3-0"]]).tolist()) & {place["i3-0"]}
    assert len(completion.complete([10_000])) == 0


def test_one_item_of_a_basket_is_hidden() -> None:
    found = cases([[4, 5, 6], [7], [1, 2, 3, 4, 5, 6, 7, 8]], 1)
    assert [place for _, _, place in found] == [0, 2]
    for shown, hidden, _ in found:
        assert hidden not in shown
        assert 2 <= len(shown) <= 5
    assert hits([np.array([1, 2]), np.array([3])], [2, 4]).tolist() == [1.0, 0.0]


def test_a_shop_without_facts_trains_nothing_and_says_so() -> None:
    said: list[str] = []
    trained = train_all(HistoryBuilder().history(), None, 1, said.append)
    assert trained.parts == {}
    assert {"sessions", "pairs"} <= set(trained.missing)
    assert any("too few" in line for line in said)
