"""What a component keeps of single events: touches, and registers that the latest event wins. Pure.

Times are epoch ms. A `tie` is 32 bits of the event id's digest and orders what happened in the same
millisecond.
"""

from typing import Any

from msgspec import Struct


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
