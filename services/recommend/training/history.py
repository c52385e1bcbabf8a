"""What training learns from, as columns: the same whether it was read of the log, of the archive or
of a file, and whether one machine counts over it or many.

Between the readers of training (facts in) and the trainers of each model (parts out). Pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes
from services.recommend.training.counting import NO_SESSION
from shared.catalogue import ItemChanged

__all__ = ["NO_SESSION", "History", "Lines", "Sales", "Touches", "until"]

NO_PRICE: Final = -1
Rows: TypeAlias = NDArray[np.bool_] | NDArray[np.int64]


class Touches(NamedTuple):
    """Interest in items, one row each, oldest first (equal times by customer, then item, kind).

    customer: code; item: local number; kind: of shared.profile (VIEWED, CARTED, WISHED, CLICKED;
    purchases are order lines); at: epoch ms; session: number in order of the sessions' ends,
    NO_SESSION where the touch is of none, as wishes and clicked offers are.
    """

    customer: Codes
    item: Codes
    kind: NDArray[np.int8]
    at: NDArray[np.int64]
    session: Codes

    def only(self, rows: Rows) -> "Touches":
        """Some of the rows: a mask, or places."""
        customer, item, kind, at, session = self
        return Touches(customer[rows], item[rows], kind[rows], at[rows], session[rows])


class Lines(NamedTuple):
    """Order lines, oldest first (equal times by order, then item), each item once an order.

    order: number in order of time; price: minor units a piece, -1 where unknown.
    """

    order: Codes
    customer: Codes
    item: Codes
    quantity: Codes
    price: NDArray[np.int64]
    at: NDArray[np.int64]

    def only(self, rows: Rows) -> "Lines":
        """Some of the rows: a mask, or places."""
        order, customer, item, quantity, price, at = self
        return Lines(order[rows], customer[rows], item[rows], quantity[rows], price[rows], at[rows])


class Sales(NamedTuple):
    """Orders by their number in `Lines`. total: minor units of currency, a code of its name."""

    customer: Codes
    at: NDArray[np.int64]
    total: NDArray[np.int64]
    currency: Codes

    @classmethod
    def none(cls) -> "Sales":
        """No orders."""
        codes, amounts = np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int64)
        return cls(codes, amounts, amounts, codes)

    def only(self, rows: Rows) -> "Sales":
        """Some of the rows: a mask, or places."""
        customer, at, total, currency = self
        return Sales(customer[rows], at[rows], total[rows], currency[rows])


@dataclass(frozen=True, slots=True)
class History:
    """items: ids by local number, items[0] is no item; customers: identity keys by code
    (shared.events.customer_key, anonymous_key); catalogue: items as they stand now, by id, as far
    as they are known; positions: next offset by partition of `events`, empty where no log was read;
    facts: how many were read; first, last: range of event times, epoch ms; traits: what is known of
    a customer beside that, by code, such as `country=FR`; currencies: by their code in sales."""

    items: list[str]
    customers: list[str]
    touches: Touches
    lines: Lines
    catalogue: Mapping[str, ItemChanged] = field(default_factory=dict)
    positions: Mapping[int, int] = field(default_factory=dict)
    facts: int = 0
    first: int = 0
    last: int = 0
    traits: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    sales: Sales = field(default_factory=Sales.none)
    currencies: Sequence[str] = ()

    @property
    def orders(self) -> int:
        """How many orders the lines are of."""
        return int(self.lines.order.max()) + 1 if len(self.lines.order) else 0

    @property
    def sessions(self) -> int:
        """How many sessions the touches are of."""
        return int(self.touches.session.max()) + 1 if len(self.touches.session) else 0


def until(history: History, moment: int) -> History:
    """The history as it stood before `moment` (epoch ms): sessions that had ended by then, whole,
    and touches of none and orders from before. Numbers of items and customers stay; the catalogue
    does too, as nobody kept how it stood."""
    touches, lines = history.touches, history.lines
    ended = _ended(touches, moment)
    earlier = lines.at < moment
    # the sessions that are left are the first ones, since they are numbered by their ends
    return History(
        items=history.items,
        customers=history.customers,
        touches=touches.only(ended),
        lines=lines.only(earlier),
        catalogue=history.catalogue,
        positions={},
        facts=history.facts,
        first=history.first,
        last=min(history.last, moment - 1),
        traits=history.traits,
        sales=history.sales.only(history.sales.at < moment),
        currencies=history.currencies,
    )


def _ended(touches: Touches, moment: int) -> NDArray[np.bool_]:
    loose = touches.session == NO_SESSION
    ends = np.zeros(int(touches.session.max(initial=NO_SESSION)) + 1, dtype=np.int64)
    np.maximum.at(ends, touches.session[~loose], touches.at[~loose])
    kept = touches.at < moment
    kept[~loose] = ends[touches.session[~loose]] < moment
    return kept
