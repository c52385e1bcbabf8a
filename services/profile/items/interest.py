"""Who is interested in which item, and by what: from the state, and from each new fact. Pure.

The state knows the newest touches, the cart and the wishlist; the index in Redis
(`interest_store`) remembers views of the last 30 days besides, and finds the customers of an item.
An entry of the index is a number: until when it counts (minutes) and what it was, so that one
that grew stale is seen as such. Times are epoch ms.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from services.profile.component import Component, unpack
from services.profile.identity import CUSTOMER_PREFIX, Delivery
from services.profile.scenarios.book import Book, OnItem
from services.profile.window import Verdict
from shared import events as facts
from shared.profile import VIEWED

Kind: TypeAlias = Literal["viewed", "carted", "wished"]
Kinds: TypeAlias = frozenset[Kind]
NO_KINDS: Final[Kinds] = frozenset()

DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000
CODES: Final[Mapping[Kind, int]] = {"viewed": 1, "carted": 2, "wished": 3}
LIFE_MS: Final[Mapping[int, int]] = {1: 30 * DAY_MS, 2: 90 * DAY_MS, 3: 365 * DAY_MS}
"""How long the index remembers each kind."""

Gathered: TypeAlias = dict[int, dict[str, dict[str, int]]]
"""Partition → item → customer's id → mark: what a batch adds to the index."""


class Shown(NamedTuple):
    """Interest that a fact shows: in what, of which kind (a code), when."""

    item: str
    code: int
    at: int


def mark_of(code: int, at: int) -> int:
    """The index's number for an interest: of two the one that counts longer is the greater."""
    return (at + LIFE_MS[code]) // MINUTE_MS * 4 + code


def first_mark(now: int) -> int:
    """The least mark that counts still."""
    return now // MINUTE_MS * 4


def marked_at(mark: int) -> int:
    """When a marked interest was shown, to the minute."""
    return mark // 4 * MINUTE_MS - LIFE_MS[mark & 3]


def kinds_of(component: Component, item: str, until: int, mark: int = 0) -> Kinds:
    """By what this customer was interested in an item at `until`, such as when it changed.

    mark: what the index says (0: nothing). What was bought since is no interest, nor is an item
    that the customer wants to see less of. Who took it out of the cart again has seen it still.
    """
    dismissed = component.dismissed.get(item)
    if dismissed is not None and dismissed.value:
        return NO_KINDS
    carted, wished = component.cart.get(item), component.wishes.get(item)
    found: Mapping[Kind, int] = {
        "viewed": max(_touched(component, item), marked_at(mark) if mark else -1),
        "carted": carted.at if carted is not None and carted.quantity else -1,
        "wished": wished.at if wished is not None and wished.value else -1,
    }
    bought = component.bought.get(item, -1)
    return frozenset(
        kind
        for kind, at in found.items()
        if max(bought, until - LIFE_MS[CODES[kind]]) < at <= until
    )


def _touched(component: Component, item: str) -> int:
    """When it was last viewed, as far as the newest touches know; else -1."""
    return next(
        (touch.at for touch in component.recent if touch.item == item and touch.kind == VIEWED), -1
    )


def interests(component: Component, until: int) -> dict[str, Kinds]:
    """Every item that the state knows an interest in: without the index, as in a dry run."""
    items = (*component.cart, *component.wishes, *(touch.item for touch in component.recent))
    found = {item: kinds_of(component, item, until) for item in dict.fromkeys(items)}
    return {item: kinds for item, kinds in found.items() if kinds}


def longest_life(book: Book) -> int:
    """How long after a change of an item something may be said of it, ms."""
    return max((each.after_ms + each.life_ms for each in book.on_items), default=0)


def wanted_by(book: Book) -> Kinds:
    """The kinds of interest that the scenarios of a book name."""
    return NO_KINDS.union(
        *(each.on.interest for each in book.on_items if isinstance(each.on, OnItem))
    )


_KINDS: Final[Mapping[type[facts.Fact], Kind]] = {
    facts.ItemViewed: "viewed",
    facts.CartAdded: "carted",
    facts.WishlistAdded: "wished",
}


@cache
def _codes(wanted: Kinds) -> dict[type[facts.Fact], int]:
    return {fact: CODES[kind] for fact, kind in _KINDS.items() if kind in wanted}


def _brought(component: Component, wanted: Kinds) -> Iterator[Shown]:
    if "viewed" in wanted:
        for touch in component.recent:
            if touch.kind == VIEWED:
                yield Shown(touch.item, CODES["viewed"], touch.at)
    if "carted" in wanted:
        for item, carted in component.cart.items():
            if carted.quantity:
                yield Shown(item, CODES["carted"], carted.at)
    if "wished" in wanted:
        for item, wished in component.wishes.items():
            if wished.value:
                yield Shown(item, CODES["wished"], wished.at)


def gather(
    deliveries: Mapping[str, Sequence[Delivery]],
    verdicts_of: Callable[[str], Iterable[Verdict]],
    wanted: Kinds,
) -> Gathered:
    """What a batch adds to the index. Of known customers only: nobody else is written to."""
    gathered: Gathered = {}
    for key, sequence in deliveries.items():
        if not key.startswith(CUSTOMER_PREFIX):
            continue
        for delivery, verdict in zip(sequence, verdicts_of(key), strict=True):
            if verdict is Verdict.NEW:
                add(gathered, key, delivery, wanted)
    return gathered


def add(gathered: Gathered, key: str, delivery: Delivery, wanted: Kinds) -> None:
    """Adds what one delivery of a known customer shows; of a login all that the visitor did."""
    fact: Any = delivery.fact
    code = _codes(wanted).get(type(fact))
    if code is not None:
        _put(gathered, delivery.partition, key, Shown(fact.item, code, fact.occurred_at))
    elif type(fact) is facts.ProfileAbsorbed:
        for shown in _brought(unpack(fact.component), wanted):
            _put(gathered, delivery.partition, key, shown)


def _put(gathered: Gathered, partition: int, key: str, shown: Shown) -> None:
    marks = gathered.setdefault(partition, {}).setdefault(shown.item, {})
    customer = key[len(CUSTOMER_PREFIX) :]
    marks[customer] = max(mark_of(shown.code, shown.at), marks.get(customer, 0))
