"""How many orders a customer will place, and what they will be worth: BG/NBD and Gamma-Gamma.

Closed forms over what a customer's history sums up to; training fits the parameters, whoever reads
a profile asks here. After Fader, Hardie and Lee, "Counting Your Customers the Easy Way", Marketing
Science 2005, and Fader and Hardie, "The Gamma-Gamma Model of Monetary Value", 2013. Pure.
"""

from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, hyp2f1, logsumexp

Values: TypeAlias = NDArray[np.float64]
NEARLY: Final = 1e-6
LARGEST: Final = 700.0
"""Exponents beyond it are no numbers any more."""
PART: Final = "lifetime"
"""Of the model store: facts alone."""


class Customers(NamedTuple):
    """One entry a customer. frequency: repeat orders (days with an order after the first);
    recency: from the first order to the last; age: from the first order until now; both in the
    model's time unit; monetary: mean worth of the repeat orders, 0 where there is none."""

    frequency: Values
    recency: Values
    age: Values
    monetary: Values

    def which(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Customers":
        """Some of them."""
        return Customers(*(values[chosen] for values in self))


class BuyingRate(NamedTuple):
    """BG/NBD: orders come at a rate drawn from Gamma(r, alpha); after each the customer leaves for
    good with a chance drawn from Beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float

    def log_likelihoods(self, customers: Customers) -> Values:
        """Of each customer's history."""
        r, alpha, a, b = self
        x = customers.frequency
        shared = gammaln(r + x) - gammaln(r) + r * np.log(alpha)
        shared += gammaln(a + b) + gammaln(b + x) - gammaln(b) - gammaln(a + b + x)
        staying = -(r + x) * np.log(alpha + customers.age)
        leaving = np.log(a) - np.log(b + np.maximum(x, 1.0) - 1.0)
        leaving = leaving - (r + x) * np.log(alpha + customers.recency)
        leaving = np.where(x > 0, leaving, -np.inf)
        return np.asarray(shared + logsumexp([staying, leaving], axis=0))

    def alive(self, customers: Customers) -> Values:
        """The chance that each customer has not left."""
        return 1.0 / (1.0 + self._left(customers))

    def _left(self, customers: Customers) -> Values:
        """The odds of having left."""
        r, alpha, a, b = self
        x = customers.frequency
        ratio = np.log(alpha + customers.age) - np.log(alpha + customers.recency)
        odds = a / (b + np.maximum(x, 1.0) - 1.0) * np.exp(np.minimum((r + x) * ratio, LARGEST))
        return np.where(x > 0, odds, 0.0)

    def expected_orders(self, customers: Customers, ahead: float) -> Values:
        """Orders of each customer within `ahead` time units from now."""
        r, alpha, a, b = self
        # at a = 1 the formula is 0 / 0; its limit lies between its neighbours
        a = a if abs(a - 1.0) > NEARLY else 1.0 + NEARLY
        x, age = customers.frequency, customers.age
        share = ahead / (alpha + age + ahead)
        series = hyp2f1(r + x, b + x, a + b + x - 1.0, share)
        grown = 1.0 - np.exp((r + x) * np.log1p(-share)) * series
        return np.asarray((a + b + x - 1.0) / (a - 1.0) * grown / (1.0 + self._left(customers)))


class OrderWorth(NamedTuple):
    """Gamma-Gamma: an order is worth Gamma(p, nu), where nu differs by customer as Gamma(q, v)."""

    p: float
    q: float
    v: float

    def log_likelihoods(self, customers: Customers) -> Values:
        """Of each customer's mean worth; all must have repeat orders worth more than 0."""
        p, q, v = self
        x, m = customers.frequency, customers.monetary
        return np.asarray(
            gammaln(p * x + q)
            - gammaln(p * x)
            - gammaln(q)
            + q * np.log(v)
            + (p * x - 1.0) * np.log(m)
            + p * x * np.log(x)
            - (p * x + q) * np.log(x * m + v)
        )

    def expected_worth(self, customers: Customers) -> Values:
        """The mean worth of an order to come: between the customer's own mean and everybody's."""
        p, q, v = self
        x = customers.frequency
        return np.asarray(p * (v + x * customers.monetary) / (p * x + q - 1.0))


class Lifetimes(NamedTuple):
    """Both models of a shop, as `attune train` fits them: orders one by one (of a profile's counts
    and times), days as the unit of time, worth of all orders in minor units of one currency. None
    where there is too little to learn from."""

    rate: BuyingRate | None = None
    worth: OrderWorth | None = None
    currency: str = ""

    @classmethod
    def of(cls, facts: dict[str, Any]) -> "Lifetimes":
        """What a part's facts say. Raises KeyError, TypeError or ValueError where they do not."""
        rate, worth = facts["bg_nbd"], facts["gamma_gamma"]
        return cls(
            rate and BuyingRate(*(_positive(rate[name]) for name in BuyingRate._fields)),
            worth and OrderWorth(*(_positive(worth[name]) for name in OrderWorth._fields)),
            str(facts["currency"]),
        )

    def facts(self) -> dict[str, Any]:
        """As they lie in the model store."""
        rate, worth, currency = self
        return {
            "bg_nbd": rate and rate._asdict(),
            "gamma_gamma": worth and worth._asdict(),
            "currency": currency,
        }


def _positive(value: Any) -> float:
    number = float(value)
    if not 0.0 < number < float("inf"):
        raise ValueError(f"{value!r} is no parameter")
    return number
