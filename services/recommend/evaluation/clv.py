"""`attune evaluate clv`: what customers will be worth, fitted to orders or to a summary of them.

With orders, the model is also fitted to the first two thirds of the time they span, and says how
many orders each customer of that time places in the last third.
"""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.recommend.evaluation.text_files import open_text
from services.recommend.training.lifetime import fit_buying_rate, fit_order_worth
from shared.errors import InvalidInput
from shared.lifetime import Customers, Values

DAY_S: Final = 86_400.0
DAYS: Final = {"day": 1.0, "week": 7.0}
CALIBRATION: Final = 2 / 3
LATEST_S: Final = 253_402_300_800.0
"""The end of the year 9999."""


@dataclass(frozen=True, slots=True)
class Orders:
    """One entry an order: customer code; day since 1970 (UTC); worth. Ascending by day."""

    customer: Values
    day: Values
    amount: Values


def evaluate(orders: Path | None, summary: Path | None, unit: str) -> dict[str, Any]:
    """What the command prints. Raises InvalidInput for a file that cannot be read or fitted."""
    if (orders is None) == (summary is None):
        raise InvalidInput("give either --orders or --summary")
    if orders is not None:
        found = read_orders(orders)
        customers = summed(found, float(found.day[-1]), unit)
        return fitted(customers) | {"time_unit": unit, "holdout": holdout(found, unit)}
    assert summary is not None  # noqa: S101  (one of the two is given)
    return fitted(read_summary(summary)) | {"time_unit": unit, "holdout": None}


def fitted(customers: Customers) -> dict[str, Any]:
    """Both models' parameters. Raises InvalidInput with too few repeat customers."""
    rate = fit_buying_rate(customers)
    if rate is None:
        raise InvalidInput("too few customers with more than one order to fit anything")
    model, likelihood = rate
    worth = fit_order_worth(customers)
    return {
        "bg_nbd": {name: round(value, 6) for name, value in model._asdict().items()}
        | {"log_likelihood": round(likelihood, 4)},
        "gamma_gamma": worth and {name: round(value, 6) for name, value in worth._asdict().items()},
        "customers": len(customers.age),
    }


def holdout(orders: Orders, unit: str) -> dict[str, Any] | None:
    """Mean absolute error of the orders foretold for the last third; naive: that each customer
    goes on at the rate of the repeat orders so far. None where the first part fits nothing."""
    first, last = float(orders.day[0]), float(orders.day[-1])
    until = np.floor(first + (last - first) * CALIBRATION)
    early = orders.day <= until
    before = Orders(orders.customer[early], orders.day[early], orders.amount[early])
    customers = summed(before, until, unit)
    rate = fit_buying_rate(customers)
    ahead = (last - until) / DAYS[unit]
    if rate is None or ahead <= 0:
        return None
    codes = np.unique(before.customer).astype(np.int64)
    visits = np.unique(np.column_stack([orders.customer[~early], orders.day[~early]]), axis=0)
    later = np.bincount(visits[:, 0].astype(np.int64), minlength=int(codes.max()) + 1)[codes]
    foretold = rate[0].expected_orders(customers, ahead)
    naive = np.divide(
        customers.frequency, customers.age, out=np.zeros_like(foretold), where=customers.age > 0
    )
    return {
        "mae": round(float(np.abs(foretold - later).mean()), 5),
        "mae_naive": round(float(np.abs(naive * ahead - later).mean()), 5),
        "n": len(codes),
    }


def summed(orders: Orders, until: float, unit: str) -> Customers:
    """What each customer's orders come to by the day `until`, in order of their codes. Orders of
    one day are one order; the first is no repeat order, nor part of the mean worth."""
    days = np.column_stack([orders.customer, orders.day])
    visits, place = np.unique(days, axis=0, return_inverse=True)
    worth = np.bincount(place.ravel(), weights=orders.amount)
    _, starts, counts = np.unique(visits[:, 0], return_index=True, return_counts=True)
    ends = starts + counts - 1
    frequency = (counts - 1).astype(np.float64)
    repeated = np.add.reduceat(worth, starts) - worth[starts]
    monetary = np.divide(repeated, frequency, out=np.zeros(len(counts)), where=frequency > 0)
    scale = DAYS[unit]
    begun = visits[starts, 1]
    return Customers(
        frequency, (visits[ends, 1] - begun) / scale, (until - begun) / scale, monetary
    )


def read_orders(path: Path) -> Orders:
    """`customer,time,amount`, time ISO 8601 or seconds. Raises InvalidInput."""
    codes: dict[str, int] = {}
    rows = []
    for line, row in _rows(path, ("customer", "time", "amount")):
        day = _day(row["time"], path, line)
        amount = _number(row, "amount", path, line, least=None)
        rows.append((day, codes.setdefault(row["customer"], len(codes)), amount))
    if not rows:
        raise InvalidInput(f"{path}: no orders")
    day, customer, amount = np.array(sorted(rows), dtype=np.float64).T
    return Orders(customer, day, amount)


def read_summary(path: Path) -> Customers:
    """`customer,frequency,recency,T[,monetary]`. Raises InvalidInput."""
    rows = []
    for line, row in _rows(path, ("customer", "frequency", "recency", "T")):
        frequency, recency, age = (
            _number(row, name, path, line) for name in ("frequency", "recency", "T")
        )
        if recency > age:
            raise InvalidInput(f"{path}, line {line}: recency is greater than T")
        monetary = _number(row, "monetary", path, line) if row.get("monetary") else 0.0
        rows.append((frequency, recency, age, monetary))
    if not rows:
        raise InvalidInput(f"{path}: no customers")
    return Customers(*np.array(rows, dtype=np.float64).T)


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[int, Mapping[str, str]]]:
    with open_text(path) as text:
        reader = csv.DictReader(text)
        missing = [name for name in columns if name not in (reader.fieldnames or ())]
        if missing:
            raise InvalidInput(f"{path}: no column {missing[0]!r} in the header")
        try:
            for row in reader:
                if None in row.values():
                    raise InvalidInput(f"{path}, line {reader.line_num}: too few columns")
                yield reader.line_num, row
        except csv.Error as error:
            raise InvalidInput(f"{path}, line {reader.line_num}: {error}") from None


def _number(
    row: Mapping[str, str], name: str, path: Path, line: int, least: float | None = 0.0
) -> float:
    try:
        value = float(row[name])
    except ValueError:
        value = float("nan")
    if not np.isfinite(value) or (least is not None and value < least):
        raise InvalidInput(f"{path}, line {line}: {name} is {row[name]!r}, not a number that fits")
    return value


def _day(text: str, path: Path, line: int) -> float:
    """Days since 1970 in UTC."""
    seconds = _seconds(text.strip())
    if seconds is None or not abs(seconds) < LATEST_S:
        raise InvalidInput(f"{path}, line {line}: {text!r} is no time")
    return float(np.floor(seconds / DAY_S))


def _seconds(text: str) -> float | None:
    # a date comes first: 19970101 is one, and not a moment of August 1970
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
