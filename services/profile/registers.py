"""What a component keeps of single events: touches, and registers that the latest event wins. Pure.

Times are epoch ms. A `tie` is 32 bits of the event id's digest and orders what happened in the same
millisecond.
"""

from typing import Any, Final, TypeVar

from msgspec import Struct

RECENT_KEPT: Final = 16
MARKS_KEPT: Final = 100

SHIPPED: Final = 1
DELAYED: Final = 2
DELIVERED: Final = 3
REFUNDED: Final = 4
"""What a `Mark` says of an order: what was heard of it last."""

RATED: Final = 1
CONTACTED_SUPPORT: Final = 2
"""The kinds of facts of which only the latest time is kept. Append only: states hold them."""


class Touch(Struct, array_like=True, frozen=True, order=True):
    """One own event on an item; ordered by time, then tie."""

    at: int
    tie: int
    kind: int
    item: str


class Mark(Struct, array_like=True, frozen=True, order=True):
    """A last-writer-wins register: `value` 0 is a tombstone."""

    at: int
    tie: int
    value: int


class CartMark(Struct, array_like=True, frozen=True, order=True):
    """What the last event said of an item in the cart; quantity 0: taken out.

    The whole event id is kept: it is the evidence of the moment that a trigger speaks of.
    """

    at: int
    event_id: str
    quantity: int


class Trait(Struct, array_like=True, frozen=True):
    """A last-writer-wins trait."""

    at: int
    tie: int
    value: Any


class Occasion(Struct, array_like=True, frozen=True):
    """A day of the year that the shopper asked to be remembered; relation: whose, "" for no one."""

    at: int
    tie: int
    month: int
    day: int
    relation: str = ""


class Feedback(Struct, array_like=True, frozen=True):
    """The latest score of one kind (nps, csat, ces)."""

    at: int
    tie: int
    score: float


class Checkout(Struct, array_like=True, frozen=True):
    """The latest checkout that no order has followed. total: minor units of currency, if told."""

    at: int
    event_id: str
    total: int | None = None
    currency: str = ""


class Consent(Struct, array_like=True, frozen=True, order=True):
    """Latest times of an authenticated grant, a denial, and a grant by an anonymous visitor."""

    granted: int = 0
    denied: int = 0
    anonymous_granted: int = 0

    @property
    def allows(self) -> bool:
        """An anonymous grant never lifts a denial; a later authenticated grant does."""
        if self.denied:
            return self.granted > self.denied
        return bool(self.granted or self.anonymous_granted)

    @property
    def denies(self) -> bool:
        """Whether a denial stands."""
        return bool(self.denied) and self.granted <= self.denied


_M = TypeVar("_M", Mark, CartMark)
_R = TypeVar("_R", Trait, Occasion, Feedback)


def write_mark(marks: dict[str, _M], name: str, mark: _M, kept: int = MARKS_KEPT) -> None:
    """Sets a register unless a later one stands; beyond `kept` the oldest goes."""
    standing = marks.get(name)
    if standing is None or standing < mark:
        marks[name] = mark
        while len(marks) > kept:
            del marks[min(marks, key=lambda item: (marks[item], item))]


def write_latest(registers: dict[str, _R], name: str, register: _R, kept: int) -> None:
    """Sets a register unless a later one stands; beyond `kept` the one set longest ago goes."""
    standing = registers.get(name)
    if standing is None or (standing.at, standing.tie) < (register.at, register.tie):
        registers[name] = register
        while len(registers) > kept:
            del registers[min(registers, key=lambda key: (*_moment(registers[key]), key))]


def _moment(register: Trait | Occasion | Feedback) -> tuple[int, int]:
    return register.at, register.tie


def insert_touch(recent: list[Touch], touch: Touch) -> None:
    """Puts a touch in its place in a newest-first list of at most RECENT_KEPT."""
    place = 0
    for place, other in enumerate(recent):  # noqa: B007  (most touches are the newest)
        if touch > other:
            break
    else:
        place = len(recent)
    if place < RECENT_KEPT:
        recent.insert(place, touch)
        del recent[RECENT_KEPT:]
