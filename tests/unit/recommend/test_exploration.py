"""Exploration: propensities are what happens, and the better of two unknown items is found."""

from collections import Counter

import numpy as np
import pytest

from services.recommend.exploration import DRAWS, UNCERTAIN, Posteriors, lot_of
from services.recommend.statistics import KINDS
from tests.unit.recommend.shop import ITEMS, Shop, ids

SHARE = 0.4


def counts(shown: dict[int, int], clicked: dict[int, int], size: int = 12) -> np.ndarray:
    table = np.zeros((size, len(KINDS)), dtype=np.int64)
    for row, count in shown.items():
        table[row, KINDS.index("shown")] = count
    for row, count in clicked.items():
        table[row, KINDS.index("clicked")] = count
    return table


def explored(shop: Shop, shown: dict[int, int], clicked: dict[int, int]) -> None:
    categories = shop.catalogue.columns.category[:12]
    shop.knowledge.posteriors.refresh(counts(shown, clicked), categories)


def busy_shop() -> Shop:
    """All trend, a1 most; of b5 and b6, which trend least, little is known."""
    shop = Shop()
    shop.viewed(**{name: 100 - 5 * place for place, name in enumerate(ITEMS)})
    well_known = dict.fromkeys(range(10), 10 * UNCERTAIN)
    explored(shop, well_known | {10: 40, 11: 60}, {10: 2, 11: 3})
    return shop


def test_logged_propensities_are_the_frequencies_with_which_items_are_shown() -> None:
    shop = busy_shop()
    drawn: Counter[str] = Counter()
    learned: Counter[str] = Counter()
    said: dict[str, set[float]] = {}
    rounds = 20_000
    for seed in range(rounds):
        choice = shop.ask(n=3, explore=SHARE, seed=str(seed))
        assert choice.propensities[:2] == [1.0, 1.0]
        last = choice.items[-1]
        drawn[last.id] += 1
        learned[last.id] += last.explore
        said.setdefault(last.id, set()).add(round(choice.propensities[-1], 12))
    chances = {name: one for name, (one,) in ((name, tuple(of)) for name, of in said.items())}
    assert sum(chances.values()) == pytest.approx(1.0)
    assert set(chances) == {"b1", "b5", "b6"} or set(chances) == {"a3", "b5", "b6"}
    for name, chance in chances.items():
        spread = 4 * (chance * (1 - chance) / rounds) ** 0.5
        assert abs(drawn[name] / rounds - chance) < spread
    assert learned["b5"] == drawn["b5"] > 0
    assert learned["b6"] == drawn["b6"] > 0
    assert sum(learned.values()) / rounds == pytest.approx(SHARE, abs=0.015)


def test_who_is_shown_to_be_learned_about_says_so_with_evidence() -> None:
    shop = busy_shop()
    item = next(
        choice.items[-1]
        for choice in (shop.ask(n=3, explore=1.0, seed=str(seed)) for seed in range(100))
        if choice.items[-1].id == "b5"
    )
    assert item.explore
    reason = item.reasons[0]
    assert (reason.code, reason.evidence["shown"], reason.evidence["clicked"]) == (
        "exploration",
        40,
        2,
    )
    assert 0 < reason.evidence["wins"] <= reason.evidence["draws"] == DRAWS


def test_a_decision_can_be_repeated_by_its_id() -> None:
    shop = busy_shop()
    once = [shop.ask(n=3, explore=SHARE, seed=str(seed)) for seed in range(50)]
    again = [shop.ask(n=3, explore=SHARE, seed=str(seed)) for seed in range(50)]
    assert [ids(choice) for choice in once] == [ids(choice) for choice in again]
    assert [choice.propensities for choice in once] == [choice.propensities for choice in again]
    assert len({tuple(ids(choice)) for choice in once}) > 1
    assert lot_of("a") == lot_of("a") != lot_of("b")


def test_nothing_is_explored_where_all_is_known_or_no_share_is_given() -> None:
    shop = Shop()
    shop.viewed(**dict.fromkeys(ITEMS, 9))
    explored(shop, dict.fromkeys(range(12), UNCERTAIN), {})
    for seed in range(30):
        assert shop.ask(n=3, explore=1.0, seed=str(seed)).propensities == [1.0] * 3
    shop = busy_shop()
    assert shop.ask(n=3, explore=0.0).propensities == [1.0] * 3


def test_the_better_of_two_new_items_is_found() -> None:
    shop = Shop()
    shop.viewed(**{name: 100 - 5 * place for place, name in enumerate(ITEMS)})
    chance, noise = {10: 0.05, 11: 0.15}, np.random.default_rng(1)
    known = dict.fromkeys(range(10), 10 * UNCERTAIN)
    shown, clicked, last = {10: 0, 11: 0}, {10: 0, 11: 0}, Counter[int]()
    for seed in range(900):
        if seed % 20 == 0:
            explored(shop, known | shown, clicked)
        item = shop.ask(n=3, explore=1.0, seed=str(seed)).items[-1]
        row = shop.catalogue.row(item.id)
        assert row in (10, 11)
        shown[row] += 1
        clicked[row] += noise.random() < chance[row]
        last[row] += seed >= 600
    assert last[11] > 2.5 * last[10]


def test_draws_follow_the_counts_and_stay_where_nothing_moved() -> None:
    posteriors = Posteriors()
    table = counts({0: 1_000, 1: 1_000, 2: 0}, {0: 300, 1: 10}, size=3)
    posteriors.refresh(table, np.zeros(3, dtype=np.int32))
    draws = posteriors.draws[:3].copy()
    assert draws[0].mean() == pytest.approx(0.3, abs=0.03)
    assert draws[1].mean() < 0.03
    assert draws[2].std() > draws[1].std()
    assert posteriors.known(0) == (1_000, 300)
    assert posteriors.known(9) == (0, 0)
    table[1, KINDS.index("shown")] = 2_000
    posteriors.refresh(table, np.zeros(3, dtype=np.int32))
    assert (posteriors.draws[0] == draws[0]).all()
    assert (posteriors.draws[1] != draws[1]).all()


def test_equal_counts_give_equal_draws() -> None:
    table = counts({0: 5}, {0: 1}, size=4)
    one, other = Posteriors(), Posteriors()
    for posteriors in (one, other):
        posteriors.refresh(table, np.zeros(4, dtype=np.int32))
    assert (one.draws == other.draws).all()
