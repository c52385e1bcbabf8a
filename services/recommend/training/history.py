"""What training learns from, as columns: the same whether it was read of the log, of the archive or
of a file, and whether one machine counts over it or many.

Between the readers of training (facts in) and the trainers of each model (parts out). Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes
from shared.catalogue import ItemChanged

NO_SESSION: Final = -1


class Touches(NamedTuple):
    """Interest in items, one row each, oldest first (equal times by customer, then item).

    customer: code; item: local number; kind: of shared.profile (VIEWED ...); at: epoch ms; session:
    number in order of the sessions' ends, NO_SESSION where the touch is of none.
    """

    customer: Codes
    item: Codes
    kind: NDArray[np.int8]
    at: NDArray[np.int64]
    session: Codes


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


@dataclass(frozen=True, slots=True)
class History:
    """items: ids by local number, items[0] is no item; customers: identity keys by code
    (shared.events.customer_key, anonymous_key); catalogue: items as they stand now, by id, as far
    as they are known; positions: next offset by partition of `events`, empty where no log was read;
    facts: how many were read; first, last: range of event times, epoch ms."""

    items: list[str]
    customers: list[str]
    touches: Touches
    lines: Lines
    catalogue: Mapping[str, ItemChanged] = field(default_factory=dict)
    positions: Mapping[int, int] = field(default_factory=dict)
    facts: int = 0
    first: int = 0
    last: int = 0
