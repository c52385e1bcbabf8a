"""What a fact adds to the statistics of items. Pure; there is no customer in it.

A count depends on the fact and on its duplicate verdict only, which a redelivery reproduces.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple, TypeAlias

from shared import events as facts

HOUR_MS: Final = 3_600_000
VIEWS, CARTS, PURCHASES, SHOWN, CLICKED = range(5)
COUNTERS: Final = 5

_COUNTED: Final[dict[type[facts.Fact], int]] = {
    facts.ItemViewed: VIEWS,
    facts.CartAdded: CARTS,
    facts.OfferShown: SHOWN,
    facts.OfferClicked: CLICKED,
}


class ItemCount(NamedTuple):
    """One more of `counter` for an item in an hour bucket (`occurred_at // 3_600_000`)."""

    bucket: int
    item: str
    counter: int


Increments: TypeAlias = dict[tuple[int, str], list[int]]
"""(bucket, item) → what to add to each of the five counters."""


def counts(fact: facts.AnyFact) -> Iterator[ItemCount]:
    """What one applied fact adds."""
    bucket = fact.occurred_at // HOUR_MS
    counter = _COUNTED.get(type(fact))
    if counter is not None:
        yield ItemCount(bucket, fact.item, counter)  # type: ignore[union-attr]
    elif isinstance(fact, facts.Purchased):
        for line in fact.lines:
            yield ItemCount(bucket, line.item, PURCHASES)


def gather(increments: Increments, fact: facts.AnyFact) -> None:
    """Adds a fact's counts to a batch's increments."""
    for bucket, item, counter in counts(fact):
        row = increments.get((bucket, item))
        if row is None:
            row = increments[bucket, item] = [0] * COUNTERS
        row[counter] += 1
