"""What a customer is worth, will order and when, with Klaviyo's names: derived when read, not kept.

Closed forms of shared/lifetime.py for one customer, in plain numbers: tens of microseconds. The
models come of the model store (`learned`); conditions, timers and payloads ask. Pure: `now` is an
argument. Money is minor units of the currency the customer pays most in.
"""

from math import exp, isfinite, log, log1p
from typing import Final, NamedTuple

from msgspec import Struct
from scipy.special import hyp2f1

from services.profile.component import DAY_MS, Component
from shared.lifetime import LARGEST, NEARLY, BuyingRate, Lifetimes, OrderWorth

HORIZON_DAYS: Final = 365.0
"""How far ahead orders and worth are foretold."""
_FARTHEST_DAYS: Final = 36_500.0


class Fading(NamedTuple):
    """How the chance of being alive falls while a customer is silent: the odds of having left are
    odds x ((alpha + days) / (alpha + recency)) ^ power, days since the first order at `start`."""

    start: int
    alpha: float
    recency: float
    odds: float
    power: float

    def left(self, days: float) -> float:
        """The odds of having left, so many days after the first order."""
        ratio = log(self.alpha + days) - log(self.alpha + self.recency)
        return self.odds * exp(min(self.power * ratio, LARGEST))

    def below(self, chance: float) -> int | None:
        """When the chance of being alive falls below `chance`, epoch ms; None where it never does:
        who ordered once may always come back, says the model, and it falls with silence alone."""
        if not 0.0 < chance < 1.0 or not self.odds:
            return None
        growth = log((1.0 - chance) / chance / self.odds) / self.power
        if not 0.0 < growth < 50.0:
            return None
        days = (self.alpha + self.recency) * exp(growth) - self.alpha
        return self.start + int(days * DAY_MS) if days < _FARTHEST_DAYS else None


class Prediction(Struct, frozen=True, kw_only=True):
    """Klaviyo's figures of one customer who has ordered; None where nothing is known of it.

    historic_clv: paid so far less what was refunded; predicted_clv, predicted_number_of_orders:
    within the 365 days from now; total_clv: both; churn_probability: of having left for good;
    expected_date_of_next_order: epoch ms, reckoned from the last order, so it may be past. fading:
    None without a fitted model.
    """

    currency: str
    historic_clv: float
    average_order_value: float
    average_days_between_orders: float | None = None
    predicted_number_of_orders: float | None = None
    predicted_clv: float | None = None
    total_clv: float | None = None
    churn_probability: float | None = None
    expected_date_of_next_order: int | None = None
    fading: Fading | None = None


class Lifetime(Struct, frozen=True):
    """What predicts: the models in force, or none."""

    models: Lifetimes = Lifetimes()

    def predict(self, component: Component, now: int) -> Prediction | None:
        """The figures as of now (epoch ms); None for who has never ordered."""
        if not component.orders:
            return None
        currency, paid = _paid(component)
        orders = component.orders
        repeat = orders - 1
        recency = (component.last_order_at - component.first_order_at) / DAY_MS
        age = max((now - component.first_order_at) / DAY_MS, recency)
        average_days = recency / repeat if repeat else None
        historic, average = float(paid - component.refunded.get(currency, 0)), paid / orders
        rate = self.models.rate
        if rate is None:
            return Prediction(
                currency=currency,
                historic_clv=historic,
                average_order_value=average,
                average_days_between_orders=average_days,
                expected_date_of_next_order=_after(component, average_days),
            )
        fading = _fading(rate, component.first_order_at, repeat, recency)
        left = fading.left(age)
        ahead = expected_orders(rate, repeat, age, left, HORIZON_DAYS)
        worth = self.models.worth if currency == self.models.currency else None
        predicted = ahead * (average if worth is None else expected_worth(worth, orders, average))
        return Prediction(
            currency=currency,
            historic_clv=historic,
            average_order_value=average,
            average_days_between_orders=average_days,
            predicted_number_of_orders=ahead,
            predicted_clv=predicted,
            total_clv=historic + predicted,
            churn_probability=left / (1.0 + left),
            expected_date_of_next_order=_after(
                component, (rate.alpha + recency) / (rate.r + repeat)
            ),
            fading=fading,
        )


def expected_orders(rate: BuyingRate, repeat: int, age: float, left: float, ahead: float) -> float:
    """Orders within `ahead` days of a customer with these repeat orders. left: odds of having left.

    As BuyingRate.expected_orders. Where that fails in numbers, the customer's own rate.
    """
    r, alpha, a, b = rate
    a = a if abs(a - 1.0) > NEARLY else 1.0 + NEARLY
    share = ahead / (alpha + age + ahead)
    series = float(hyp2f1(r + repeat, b + repeat, a + b + repeat - 1.0, share))
    grown = 1.0 - exp((r + repeat) * log1p(-share)) * series
    orders = (a + b + repeat - 1.0) / (a - 1.0) * grown
    most = ahead * (r + repeat) / (alpha + age)
    # nobody orders more than who stays for sure
    return (orders if isfinite(orders) and 0.0 <= orders <= most else most) / (1.0 + left)


def expected_worth(worth: OrderWorth, orders: int, average: float) -> float:
    """The mean worth of an order to come, as OrderWorth.expected_worth; where everybody's mean is
    none, the customer's own."""
    p, q, v = worth
    weight = p * orders + q - 1.0
    return p * (v + orders * average) / weight if weight > 0.0 else average


def _fading(rate: BuyingRate, start: int, repeat: int, recency: float) -> Fading:
    odds = rate.a / (rate.b + repeat - 1.0) if repeat else 0.0
    return Fading(start, rate.alpha, recency, odds, rate.r + repeat)


def _paid(component: Component) -> tuple[str, int]:
    """The currency the customer paid most in, and how much."""
    amounts = component.revenue.items()
    currency, paid = max(amounts, key=lambda entry: (entry[1], entry[0]), default=("", 0))
    return currency, paid


def _after(component: Component, days: float | None) -> int | None:
    if days is None or days > _FARTHEST_DAYS:
        return None
    return component.last_order_at + int(days * DAY_MS)
