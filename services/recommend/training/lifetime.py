"""Fits the models of shared/lifetime.py by maximum likelihood.

Part of `attune train`, and all of `attune evaluate clv`. Pure: the same customers give the same
parameters.
"""

from collections.abc import Callable
from typing import Final

import numpy as np
from scipy.optimize import minimize

from shared.lifetime import BuyingRate, Customers, OrderWorth, Values

FEWEST: Final = 10
"""Customers with repeat orders, below which nothing is fitted."""
_STARTS: Final = ((1.0, 1.0, 1.0, 1.0), (0.3, 0.5, 0.8, 2.5), (3.0, 2.0, 0.1, 5.0))
"""Where the search begins: r, a and b, and alpha in units of the mean age."""
_BOUND: Final = 14.0
"""Logarithms of parameters stay within: data without a finite best fit end there."""


def fit_buying_rate(customers: Customers) -> tuple[BuyingRate, float] | None:
    """The model and its log-likelihood (a sum over customers); None with too few to learn from."""
    if np.count_nonzero(customers.frequency > 0) < FEWEST:
        return None
    distinct, counts = _grouped(customers)
    # times in units of the mean age: parameters near 1 are what the search finds best
    unit = float(np.average(distinct.age, weights=counts)) or 1.0
    scaled = distinct._replace(recency=distinct.recency / unit, age=distinct.age / unit)

    def loss(logs: Values) -> float:
        return -float(counts @ BuyingRate(*np.exp(logs).tolist()).log_likelihoods(scaled))

    starts = [np.log(start) for start in _STARTS]
    r, alpha, a, b = _least(loss, starts, len(customers.age)).tolist()
    model = BuyingRate(r, alpha * unit, a, b)
    return model, float(counts @ model.log_likelihoods(distinct))


def fit_order_worth(customers: Customers) -> OrderWorth | None:
    """The model of what orders are worth; None where too few repeat orders have a worth."""
    known = customers.which((customers.frequency > 0) & (customers.monetary > 0))
    if len(known.frequency) < FEWEST:
        return None
    unit = float(known.monetary.mean())
    scaled = known._replace(monetary=known.monetary / unit)

    def loss(logs: Values) -> float:
        return -float(OrderWorth(*np.exp(logs).tolist()).log_likelihoods(scaled).sum())

    starts = [np.log([p, q, v]) for p, q, v in ((1.0, 1.0, 1.0), (6.0, 4.0, 0.5), (2.0, 8.0, 4.0))]
    p, q, v = _least(loss, starts, len(known.frequency)).tolist()
    return OrderWorth(p, q, v * unit)


def _grouped(customers: Customers) -> tuple[Customers, Values]:
    """Each different history once, and how many customers have it."""
    rows = np.column_stack([customers.frequency, customers.recency, customers.age])
    distinct, counts = np.unique(rows, axis=0, return_counts=True)
    columns = distinct.T
    return (
        Customers(columns[0], columns[1], columns[2], np.zeros(len(distinct))),
        counts.astype(np.float64),
    )


def _least(loss: Callable[[Values], float], starts: list[Values], count: int) -> Values:
    """The parameters with the least loss among what is found from each start."""
    bounds = [(-_BOUND, _BOUND)] * len(starts[0])
    found = [
        minimize(
            lambda logs: loss(logs) / count,
            start,
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-13, "gtol": 1e-9, "maxiter": 2_000},
        )
        for start in starts
    ]
    best = min(found, key=lambda result: float(result.fun))
    return np.asarray(np.exp(best.x), dtype=np.float64)
