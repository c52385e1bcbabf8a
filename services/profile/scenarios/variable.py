"""What a variable of an expression is: its name, kind, meaning, and how a moment gives it. Pure.

The tables are `profile_variables` and `moment_variables`; `variables` joins them.
"""

import math
from collections.abc import Callable
from typing import Final, Literal, Protocol, TypeAlias

from msgspec import Struct

from services.profile.moments.around import Around
from services.profile.scenarios.book import Scalar
from services.profile.state import Profile
from shared.catalogue import ItemChanged
from shared.fact_types import Fact

Kind: TypeAlias = Literal["number", "text", "flag", "texts", "any"]
"""`any`: a trait or a field of an item; what it is compared with says what it is."""

UNKNOWN: Final = math.nan
"""What a number is that nobody knows: every comparison with it is false."""


class Moment(Protocol):
    """All that expressions may ask about: a customer, what happened, the item it is about.

    item: as it stands now, None where there is none; previous_price (minor units),
    previous_stock: before the change that a scenario on `item_changed` answers; subject: the
    order, occasion or segment that the moment is about besides; now: epoch ms.
    """

    @property
    def profile(self) -> Profile: ...
    @property
    def fact(self) -> Fact | None: ...
    @property
    def item(self) -> ItemChanged | None: ...
    @property
    def previous_price(self) -> int | None: ...
    @property
    def previous_stock(self) -> int | None: ...
    @property
    def subject(self) -> str: ...
    @property
    def around(self) -> Around: ...
    @property
    def now(self) -> int: ...


class Variable(Struct, frozen=True):
    """read: its value, None where it is not known; missing: what stands for None; domain: whose
    names it takes (`segments`, `stages`), so that a misspelt one is found; facts: the fact types
    that have it, empty where the scope alone decides."""

    name: str
    kind: Kind
    meaning: str
    read: Callable[[Moment], Scalar]
    missing: Scalar
    domain: str = ""
    facts: frozenset[str] = frozenset()

    @property
    def unknown(self) -> bool:
        """Whether it is a number that may not be known."""
        return isinstance(self.missing, float) and math.isnan(self.missing)


def count(name: str, meaning: str, read: Callable[[Moment], float]) -> Variable:
    """A number that is always there."""
    return Variable(name, "number", meaning, read, 0.0)


def number(name: str, meaning: str, read: Callable[[Moment], float | None]) -> Variable:
    """A number that may not be known."""
    return Variable(name, "number", meaning, read, UNKNOWN)


def text(
    name: str, meaning: str, read: Callable[[Moment], str | None], domain: str = ""
) -> Variable:
    """A text, empty where it is not known."""
    return Variable(name, "text", meaning, read, "", domain)


def flag(name: str, meaning: str, read: Callable[[Moment], bool]) -> Variable:
    """Yes or no."""
    return Variable(name, "flag", meaning, read, False)


def texts(
    name: str, meaning: str, read: Callable[[Moment], list[str]], domain: str = ""
) -> Variable:
    """A list of texts, empty where nothing is known."""
    return Variable(name, "texts", meaning, read, [], domain)
