"""Fits the models of shared/lifetime.py by maximum likelihood.

Part of `attune train`, and all of `attune evaluate clv`. Pure: the same customers give the same
parameters.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from scipy.optimize import minimize

from services.recommend.training.history import History, Sales
from shared.events import customer_key
from shared.lifetime import PART, BuyingRate, Customers, Lifetimes, OrderWorth, Values
from shared.models.part import Part

FEWEST: Final = 10
"""Customers with repeat orders, below which nothing is fitted."""
MOST: Final = 50_000
"""Customers that are learned from, drawn where there are more."""
DAY_MS: Final = 86_400_000
CALIBRATION: Final = 2 / 3
_KNOWN: Final = customer_key("")
_STARTS: Final = ((1.0, 1.0, 1.0, 1.0), (0.3, 0.5, 0.8, 2.5), (3.0, 2.0, 0.1, 5.0))
"""Where the search begins: r, a and b, and alpha in units of the mean age."""
_BOUND: Final = 14.0
"""Logarithms of parameters stay within: data without a finite best fit end there."""


@dataclass(frozen=True, slots=True)
class Trained:
    """What training leaves. figures: of whom it was learned, and what was foretold of the last
    third of the time by what was learned of the first two."""

    lifetimes: Lifetimes
    figures: dict[str, Any] = field(default_factory=dict)

    def part(self) -> Part:
        """As it lies in the model store: facts alone."""
        return Part(PART, {}, self.lifetimes.facts() | self.figures)


def train(history: History, seed: int, say: Callable[[str], None]) -> Trained | None:
    """Both models of the shop's known customers; None with too few who came back."""
    sales = _known(history, seed)
    if not len(sales.at):
        say(f"{PART}: no known customer has ordered")
        return None
    customers = summed(sales, history.last)
    found = fit_buying_rate(customers)
    if found is None:
        say(f"{PART}: fewer than {FEWEST} customers came back")
        return None
    currency = int(np.bincount(sales.currency).argmax())
    paid = sales.only(sales.currency == currency)
    # what an order is worth may be learned of first orders too
    worth = fit_order_worth(_of_all_orders(summed(paid, history.last)))
    lifetimes = Lifetimes(found[0], worth, history.currencies[currency])
    figures = {
        "customers": len(customers.age),
        "came_back": int(np.count_nonzero(customers.frequency)),
        "log_likelihood": round(found[1], 4),
        "holdout": _holdout(sales, history.last),
    }
    say(f"{PART}: {figures['customers']} customers, of whom {figures['came_back']} came back")
    return Trained(lifetimes, figures)


def _known(history: History, seed: int) -> Sales:
    """Orders of known customers, of some who are drawn where there are many."""
    known = np.array([key.startswith(_KNOWN) for key in history.customers], dtype=np.bool_)
    sales = history.sales
    sales = sales.only(known[sales.customer]) if len(known) else sales
    buyers = np.unique(sales.customer)
    if len(buyers) <= MOST:
        return sales
    drawn = np.random.default_rng(seed).choice(buyers, MOST, replace=False)
    return sales.only(np.isin(sales.customer, drawn))


def summed(sales: Sales, until: int) -> Customers:
    """What each customer's orders come to by `until` (epoch ms), by ascending code, in days. Unlike
    in `attune evaluate clv` each order counts, as it does in a profile; monetary: of all orders."""
    order = np.lexsort((sales.at, sales.customer))
    _, starts, counts = np.unique(sales.customer[order], return_index=True, return_counts=True)
    at, total = sales.at[order], sales.total[order].astype(np.float64)
    first, last = at[starts], at[starts + counts - 1]
    return Customers(
        (counts - 1).astype(np.float64),
        (last - first) / DAY_MS,
        (until - first) / DAY_MS,
        np.add.reduceat(total, starts) / counts,
    )


def _of_all_orders(customers: Customers) -> Customers:
    """Counted with their first orders, in an order that does not depend on who was seen first."""
    order = np.lexsort((customers.frequency, customers.monetary))
    return customers.which(order)._replace(frequency=customers.frequency[order] + 1.0)


def _holdout(sales: Sales, last: int) -> dict[str, float] | None:
    """Mean absolute error of the orders foretold, beside that of everybody going on at their rate
    so far. None where the first part fits nothing."""
    first = int(sales.at.min())
    moment = int(first + (last - first) * CALIBRATION)
    early = sales.at <= moment
    customers = summed(sales.only(early), moment) if early.any() else None
    found = None if customers is None else fit_buying_rate(customers)
    if customers is None or found is None:
        return None
    days = (last - moment) / DAY_MS
    codes = np.unique(sales.customer[early])
    later = np.bincount(sales.customer[~early], minlength=int(codes[-1]) + 1)[codes]
    naive = np.divide(
        customers.frequency, customers.age, out=np.zeros(len(codes)), where=customers.age > 0
    )
    foretold = found[0].expected_orders(customers, days)
    return {
        "days": round(days, 1),
        "customers": len(codes),
        "mae": round(float(np.abs(foretold - later).mean()), 5),
        "mae_naive": round(float(np.abs(naive * days - later).mean()), 5),
    }


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
