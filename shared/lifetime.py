"""How many orders a customer will place, and what they will be worth: BG/NBD and Gamma-Gamma.

Closed forms over what a customer's history sums up to; training fits the parameters, whoever reads
a profile asks here. After Fader, Hardie and Lee, "Counting Your Customers the Easy Way", Marketing
Science 2005, and Fader and Hardie, "The Gamma-Gamma Model of Monetary Value", 2013. Pure.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, hyp2f1, logsumexp

Values: TypeAlias = NDArray[np.float64]


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
        odds = a / (b + np.maximum(x, 1.0) - 1.0) * np.exp((r + x) * ratio)
        return np.where(x > 0, odds, 0.0)

    def expected_orders(self, customers: Customers, ahead: float) -> Values:
        """Orders of each customer within `ahead` time units from now."""
        r, alpha, a, b = self
        x, age = customers.frequency, customers.age
        share = ahead / (alpha + age + ahead)
        series = hyp2f1(r + x, b + x, a + b + x - 1.0, share)
        grown = 1.0 - np.exp((r + x) * np.log1p(-share)) * series
        # at a = 1 the formula is 0 / 0; its limit lies between its neighbours
        nearly = a - 1.0 if abs(a - 1.0) > 1e-9 else 1e-9
        return np.asarray((a + b + x - 1.0) / nearly * grown / (1.0 + self._left(customers)))


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
