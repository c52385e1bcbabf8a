"""The part `lifetime`: of known customers' orders, as profiles count them."""

import numpy as np

from services.recommend.training.building import HistoryBuilder
from services.recommend.training.history import History
from services.recommend.training.lifetime import DAY_MS, Trained, train
from shared.events import Line, Purchased, encode, identity_key
from shared.lifetime import Lifetimes


def ordered(who: str, number: int, at: int, total: int, currency: str = "EUR") -> Purchased:
    name = {"anonymous": who[2:]} if who.startswith("a:") else {"customer": who}
    return Purchased(
        event_id=f"{who}-{number}", occurred_at=at, received_at=at, order=f"{who}-{number}",
        lines=[Line(item="x")], total=total, currency=currency, **name,
    )  # fmt: skip


def built(facts: list[Purchased]) -> History:
    builder = HistoryBuilder()
    for fact in facts:
        builder.take(identity_key(fact).encode(), encode(fact))
    return builder.history()


def shop() -> list[Purchased]:
    """200 customers over 300 days; ten pay dollars, and visitors order too."""
    random = np.random.default_rng(1)
    facts = []
    for customer in range(200):
        at, gap, worth = random.uniform(0, 100), random.uniform(10, 60), random.uniform(10, 90)
        for number in range(40):
            currency = "USD" if customer < 10 else "EUR"
            total = int(100 * worth * random.uniform(0.5, 1.5))
            facts.append(ordered(f"c{customer}", number, int(at * DAY_MS), total, currency))
            at += random.exponential(gap)
            if at > 300 or random.random() < 0.1:
                break
    facts += [ordered(f"a:v{visitor}", 0, 150 * DAY_MS, 10) for visitor in range(500)]
    return facts


def trained(facts: list[Purchased]) -> Trained:
    found = train(built(facts), 1, lambda _: None)
    assert found is not None
    return found


def test_both_models_are_learned_of_known_customers() -> None:
    found = trained(shop())
    assert found.figures["customers"] == 200
    assert found.figures["holdout"]["mae"] < found.figures["holdout"]["mae_naive"]
    rate, worth, currency = found.lifetimes
    assert rate is not None
    assert worth is not None
    assert currency == "EUR"
    # the mean order: 5,000 minor units
    assert 4_000 < worth.p * worth.v / (worth.q - 1) < 6_000
    assert Lifetimes.of(found.part().facts) == found.lifetimes


def test_the_order_of_delivery_and_repeated_deliveries_change_nothing() -> None:
    facts = shop()
    assert trained([*reversed(facts), *facts[:50]]) == trained(facts)


def test_little_is_not_learned_from() -> None:
    said: list[str] = []
    assert train(built([ordered("ada", 1, DAY_MS, 10)]), 1, said.append) is None
    assert train(built([]), 1, said.append) is None
    assert [line.startswith("lifetime: ") for line in said] == [True, True]
