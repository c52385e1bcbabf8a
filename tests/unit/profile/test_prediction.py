"""Predictions of one customer: as the models say for many, sensible without them."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from services.profile.component import DAY_MS, Component
from services.profile.prediction import HORIZON_DAYS, Lifetime, Prediction
from shared.lifetime import BuyingRate, Customers, Lifetimes, OrderWorth

FIRST = 1_700_000_000_000
RATE = BuyingRate(r=0.8, alpha=40.0, a=1.2, b=3.0)
WORTH = OrderWorth(p=6.25, q=3.74, v=1_544.0)
FITTED = Lifetime(Lifetimes(RATE, WORTH, "EUR"))


def customer(orders: int, recency_days: float, paid: int = 10_000, **fields: object) -> Component:
    component = Component(orders=orders, first_order_at=FIRST, revenue={"EUR": paid})
    component.last_order_at = FIRST + int(recency_days * DAY_MS)
    for name, value in fields.items():
        setattr(component, name, value)
    return component


def predicted(lifetime: Lifetime, component: Component, age_days: float) -> Prediction:
    prediction = lifetime.predict(component, FIRST + int(age_days * DAY_MS))
    assert prediction is not None
    return prediction


def test_who_never_ordered_has_no_prediction() -> None:
    assert FITTED.predict(Component(events=3, last_at=FIRST), FIRST) is None


def test_without_models_there_is_what_was() -> None:
    component = customer(4, 90, paid=20_000, refunded={"EUR": 5_000, "USD": 1})
    found = predicted(Lifetime(), component, 120)
    assert found == Prediction(
        currency="EUR",
        historic_clv=15_000.0,
        average_order_value=5_000.0,
        average_days_between_orders=30.0,
        expected_date_of_next_order=component.last_order_at + 30 * DAY_MS,
    )
    once = predicted(Lifetime(), customer(1, 0), 50)
    assert once.average_days_between_orders is None
    assert once.expected_date_of_next_order is None


@given(
    st.tuples(*[st.floats(0.05, 20.0)] * 4),
    st.integers(1, 60),
    st.floats(30, 2_000),
    st.floats(0, 1),
)
def test_one_customer_gets_what_the_models_say_for_many(
    parameters: tuple[float, float, float, float], orders: int, age: float, recent: float
) -> None:
    r, alpha, a, b = parameters
    # closer to 1 both lose digits, each its own
    assume(a == 1.0 or abs(a - 1.0) > 1e-5)
    rate = BuyingRate(r, alpha * 10, a, b)
    recency = age * recent if orders > 1 else 0.0
    found = predicted(Lifetime(Lifetimes(rate, WORTH, "EUR")), customer(orders, recency), age)
    rounded = int(recency * DAY_MS) / DAY_MS, int(age * DAY_MS) / DAY_MS
    many = Customers(*(np.array([value]) for value in (orders - 1.0, *rounded, 0.0)))
    of_all = many._replace(
        frequency=np.array([float(orders)]), monetary=np.array([10_000.0 / orders])
    )
    expected = float(rate.expected_orders(many, HORIZON_DAYS)[0])
    assert found.predicted_number_of_orders == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert found.churn_probability == pytest.approx(1 - float(rate.alive(many)[0]), abs=1e-9)
    worth = float(WORTH.expected_worth(of_all)[0])
    assert found.predicted_clv == pytest.approx(expected * worth, rel=1e-6, abs=1e-6)
    assert found.total_clv == pytest.approx(10_000.0 + expected * worth, rel=1e-6)


def test_numbers_that_no_computer_sums_fall_back_to_the_customers_own_rate() -> None:
    """Thousands of orders: the series of the closed form overflows."""
    found = predicted(FITTED, customer(20_001, 1_000), 1_000)
    assert found.predicted_number_of_orders == pytest.approx(365 * 20_000.8 / 1_040, rel=0.01)


def test_another_currency_than_the_models_keeps_to_its_own_average() -> None:
    component = customer(2, 30, revenue={"USD": 9_000, "EUR": 1})
    found = predicted(FITTED, component, 60)
    assert found.currency == "USD"
    assert found.predicted_number_of_orders is not None
    assert found.predicted_clv == pytest.approx(found.predicted_number_of_orders * 4_500)


def test_the_next_order_is_expected_between_the_own_pace_and_everybodys() -> None:
    """Reckoned from the last order, so that it stands still while nothing happens."""
    component = customer(11, 100)
    early, late = predicted(FITTED, component, 101), predicted(FITTED, component, 400)
    assert early.expected_date_of_next_order == late.expected_date_of_next_order
    own, everybody = 10.0, RATE.alpha / RATE.r
    days = ((early.expected_date_of_next_order or 0) - component.last_order_at) / DAY_MS
    assert own < days < everybody


@given(st.integers(2, 60), st.floats(0, 500), st.floats(0.02, 0.95))
def test_the_chance_of_being_alive_falls_below_when_it_is_said_to(
    orders: int, recency: float, chance: float
) -> None:
    component = customer(orders, recency)
    fading = predicted(FITTED, component, recency).fading
    assert fading is not None
    at = fading.below(chance)
    if at is None:
        right_after = predicted(FITTED, component, recency).churn_probability
        in_a_century = predicted(FITTED, component, 36_500).churn_probability
        assert right_after is not None
        assert in_a_century is not None
        assert 1 - right_after <= chance + 1e-9 or 1 - in_a_century > chance
        return
    assert at > component.last_order_at
    for days, below in ((-1, False), (1, True)):
        found = FITTED.predict(component, max(component.last_order_at, at + days * DAY_MS))
        assert found is not None
        assert found.churn_probability is not None
        assert (1 - found.churn_probability < chance) is below


def test_who_ordered_once_never_fades() -> None:
    found = predicted(FITTED, customer(1, 0), 3_000)
    assert found.churn_probability == 0.0
    assert found.fading is not None
    assert found.fading.below(0.5) is None
