"""What a fact adds to the statistics of items. Pure; there is no customer in it.

A count depends on the fact and on its duplicate verdict only, which a redelivery reproduces. A fact
that names a country (an order's, or a field `country` of any other) is counted for the item, and
for the item in that country: see `in_country`.
"""

from collections.abc import Sequence
from typing import Final, TypeAlias

from shared import events as facts
from shared.keys import COUNTRY_MARK

HOUR_MS: Final = 3_600_000
VIEWS, CARTS, PURCHASES, SHOWN, CLICKED = range(5)
COUNTERS: Final = 5
_BY_COUNTRY: Final = frozenset((VIEWS, CARTS, PURCHASES, CLICKED))
"""What trending counts; what was shown is the shop's own doing."""
_LONGEST: Final = 64

_COUNTED: Final[dict[type[facts.Fact], int]] = {
    facts.ItemViewed: VIEWS,
    facts.CartAdded: CARTS,
    facts.OfferShown: SHOWN,
    facts.OfferClicked: CLICKED,
}


ItemCount: TypeAlias = tuple[int, str, int]
"""One more for an item, or an item in a country, in an hour bucket (`occurred_at // 3_600_000`):
bucket, item, counter."""
Increments: TypeAlias = dict[tuple[int, str], list[int]]
"""(bucket, item) → what to add to each of the five counters."""


def counts(fact: facts.AnyFact) -> Sequence[ItemCount]:
    """What one applied fact adds."""
    counter = _COUNTED.get(type(fact))
    if counter is not None:
        items, country = [fact.item], fact.extra.get("country")  # type: ignore[union-attr]
    elif isinstance(fact, facts.Purchased):
        items, country, counter = [line.item for line in fact.lines], fact.country, PURCHASES
    else:
        return ()
    bucket = fact.occurred_at // HOUR_MS
    added = [(bucket, item, counter) for item in items]
    if counter in _BY_COUNTRY and isinstance(country, str) and 0 < len(country) <= _LONGEST:
        added += [(bucket, in_country(item, country), counter) for item in items]
    return added


def in_country(item: str, country: str) -> str:
    """The name under which an item's counts in one country lie beside those of the whole shop."""
    return f"{item}{COUNTRY_MARK}{country}"


def gather(increments: Increments, fact: facts.AnyFact) -> None:
    """Adds a fact's counts to a batch's increments."""
    for bucket, item, counter in counts(fact):
        key = (bucket, item)
        row = increments.get(key)
        if row is None:
            row = increments[key] = [0] * COUNTERS
        row[counter] += 1
