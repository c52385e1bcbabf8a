"""Builds the history out of records, one pass, in columns that grow: 20 bytes a touch.

Second step of training, behind the readers (rows.py, file.py). Pure. What is delivered twice
teaches once: the same customer, item, kind and time is one touch, an order id is one order.
"""

import hashlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes
from services.recommend.learning import IDLE_MS
from services.recommend.numbers import NO_ITEM
from services.recommend.training.counting import NO_SESSION, number_sessions
from services.recommend.training.facts import KINDS, Ordered, Shown, Touch, teaching
from services.recommend.training.history import NO_PRICE, History, Lines, Sales, Touches
from services.recommend.training.outcomes import Outcomes
from shared.catalogue import ItemChanged
from shared.profile import CARTED, VIEWED

LONGEST_LABEL: Final = 64


class Recorded(Protocol):
    """What of a record training looks at (shared.bus.Record)."""

    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


@dataclass(slots=True)
class Codebook:
    """Texts as codes, in the order they are first seen."""

    codes: dict[str, int] = field(default_factory=dict)

    def code(self, text: str) -> int:
        """The text's code, given out now where it has none."""
        return self.codes.setdefault(text, len(self.codes))


@dataclass(slots=True)
class _Columns:
    """Rows as they come: touches; lines, of orders that have their own columns."""

    customer: "array[int]" = field(default_factory=lambda: array("i"))
    item: "array[int]" = field(default_factory=lambda: array("i"))
    kind: "array[int]" = field(default_factory=lambda: array("b"))
    at: "array[int]" = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class _Orders:
    """digest: of the order's id; size: how many of the lines are its own."""

    digest: "array[int]" = field(default_factory=lambda: array("q"))
    customer: "array[int]" = field(default_factory=lambda: array("i"))
    at: "array[int]" = field(default_factory=lambda: array("q"))
    total: "array[int]" = field(default_factory=lambda: array("q"))
    currency: "array[int]" = field(default_factory=lambda: array("i"))
    size: "array[int]" = field(default_factory=lambda: array("i"))
    item: "array[int]" = field(default_factory=lambda: array("i"))
    quantity: "array[int]" = field(default_factory=lambda: array("i"))
    price: "array[int]" = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class HistoryBuilder:
    """Takes records in; `history` is what they come to. catalogue: filled by whoever knows it;
    outcomes: told of every fact, after it was told of the decisions."""

    catalogue: dict[str, ItemChanged] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    outcomes: Outcomes = field(default_factory=Outcomes)
    facts: int = 0
    _items: Codebook = field(default_factory=lambda: Codebook({"": NO_ITEM}))
    _customers: Codebook = field(default_factory=Codebook)
    _touches: _Columns = field(default_factory=_Columns)
    _orders: _Orders = field(default_factory=_Orders)
    _countries: dict[int, str] = field(default_factory=dict)
    _currencies: Codebook = field(default_factory=Codebook)

    def read(self, records: Iterable[Recorded]) -> None:
        """Take in records of one partition of `events`, in log order."""
        for record in records:
            self.positions[record.partition] = record.offset + 1
            self.take(record.key, record.value)

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """Take in one fact of the identity `key`."""
        self.facts += 1
        taught = teaching(value)
        if taught is None or not key:
            return
        identity = key.decode(errors="replace")
        self.outcomes.happened(identity, taught)
        if isinstance(taught, Shown):
            return
        customer = self._customers.code(identity)
        if isinstance(taught, Ordered):
            self._order(customer, taught)
        else:
            self._touch(customer, taught)

    def _touch(self, customer: int, taught: Touch) -> None:
        touches = self._touches
        touches.customer.append(customer)
        touches.item.append(self._items.code(taught.item))
        touches.kind.append(KINDS[type(taught)])
        touches.at.append(taught.occurred_at)

    def _order(self, customer: int, taught: Ordered) -> None:
        orders = self._orders
        digest = hashlib.blake2b(taught.order.encode(), digest_size=8).digest()
        orders.digest.append(int.from_bytes(digest, "little", signed=True))
        orders.customer.append(customer)
        orders.at.append(taught.occurred_at)
        orders.total.append(taught.total)
        orders.currency.append(self._currencies.code(taught.currency))
        orders.size.append(len(taught.lines))
        for line in taught.lines:
            orders.item.append(self._items.code(line.item))
            orders.quantity.append(line.quantity)
            orders.price.append(NO_PRICE if line.price is None else line.price)
        if taught.country:
            self._countries[customer] = taught.country[:LONGEST_LABEL]

    def history(self) -> History:
        """All that was taken in, in order."""
        touches, kept = touches_of(self._touches), _first_told(self._orders)
        lines = lines_of(self._orders, kept)
        times = np.concatenate((touches.at, lines.at))
        return History(
            items=list(self._items.codes),
            customers=list(self._customers.codes),
            touches=touches,
            lines=lines,
            catalogue=self.catalogue,
            positions=dict(sorted(self.positions.items())),
            facts=self.facts,
            first=int(times.min()) if len(times) else 0,
            last=int(times.max()) if len(times) else 0,
            traits={code: (f"country={name}",) for code, name in sorted(self._countries.items())},
            sales=sales_of(self._orders, kept),
            currencies=list(self._currencies.codes),
        )


def touches_of(rows: _Columns) -> Touches:
    """The touches in order of time, each once, and their sessions."""
    customer, item = _int32(rows.customer), _int32(rows.item)
    kind, at = np.array(rows.kind, dtype=np.int8), np.array(rows.at, dtype=np.int64)
    order = np.lexsort((kind, item, customer, at))
    customer, item, kind, at = customer[order], item[order], kind[order], at[order]
    kept = np.ones(len(at), dtype=np.bool_)
    kept[1:] = np.any([np.diff(column) != 0 for column in (at, customer, item, kind)], axis=0)
    customer, item, kind, at = customer[kept], item[kept], kind[kept], at[kept]
    session = np.full(len(at), NO_SESSION, dtype=np.int32)
    running = (kind == VIEWED) | (kind == CARTED)
    session[running] = number_sessions(customer[running], at[running], IDLE_MS)
    return Touches(customer, item, kind, at, session)


def _first_told(rows: _Orders) -> NDArray[np.int64]:
    """Places of the orders, of each its first telling, in order of time."""
    digest, at = np.array(rows.digest, dtype=np.int64), np.array(rows.at, dtype=np.int64)
    customer = _int32(rows.customer)
    told = np.lexsort((np.arange(len(at)), digest, customer))
    first = np.ones(len(at), dtype=np.bool_)
    first[1:] = (digest[told][1:] != digest[told][:-1]) | (
        customer[told][1:] != customer[told][:-1]
    )
    kept = told[first]
    return kept[np.lexsort((digest[kept], customer[kept], at[kept]))]


def lines_of(rows: _Orders, kept: NDArray[np.int64]) -> Lines:
    """The lines of the orders at those places, numbered in their order."""
    at, customer, size = np.array(rows.at, dtype=np.int64), _int32(rows.customer), _int32(rows.size)
    number = np.full(len(at), -1, dtype=np.int32)
    number[kept] = np.arange(len(kept), dtype=np.int32)
    order = np.repeat(number, size)
    chosen = order >= 0
    return _summed(
        order[chosen],
        _int32(rows.item)[chosen],
        _int32(rows.quantity)[chosen],
        np.array(rows.price, dtype=np.int64)[chosen],
        customer[kept],
        at[kept],
    )


def sales_of(rows: _Orders, kept: NDArray[np.int64]) -> Sales:
    """The orders at those places, whole."""
    at, total = np.array(rows.at, dtype=np.int64), np.array(rows.total, dtype=np.int64)
    return Sales(_int32(rows.customer), at, total, _int32(rows.currency)).only(kept)


def _summed(
    order: Codes,
    item: Codes,
    quantity: Codes,
    price: NDArray[np.int64],
    customers: Codes,
    times: NDArray[np.int64],
) -> Lines:
    """Lines of one item in one order as one: the quantities' sum, the highest price."""
    place = np.lexsort((item, order))
    order, item, quantity, price = order[place], item[place], quantity[place], price[place]
    begins = np.ones(len(order), dtype=np.bool_)
    begins[1:] = (np.diff(order) != 0) | (np.diff(item) != 0)
    starts = np.flatnonzero(begins)
    pieces = np.add.reduceat(quantity.astype(np.int64), starts) if len(starts) else quantity[:0]
    most = np.iinfo(np.int32).max
    return Lines(
        order=order[starts],
        customer=customers[order[starts]],
        item=item[starts],
        quantity=np.minimum(pieces, most).astype(np.int32),
        price=np.maximum.reduceat(price, starts) if len(starts) else price[:0],
        at=times[order[starts]],
    )


def _int32(column: "array[int]") -> Codes:
    return np.array(column, dtype=np.int32)
