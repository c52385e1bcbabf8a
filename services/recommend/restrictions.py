"""What one call's terms withhold from everybody who asks on such terms: age, categories, filters.

Between availability.py and the pipeline. Kept by terms, so that a placement's rules or a filter
that is asked for again cost nothing. Pure.
"""

from bisect import bisect_right
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from services.recommend.asking import Ask, Categories
from services.recommend.availability import (
    AGE,
    CATEGORY,
    FILTERED,
    OFFERABLE,
    Availability,
    Restricted,
    Stock,
)
from services.recommend.catalogue.columns import NONE, Mask

MOST_KEPT: Final = 64


class Terms(NamedTuple):
    """How calls with the same outcome are told: how many of the ages that items ask for the
    shopper has reached, the placement's categories, and which mask of filters it is."""

    country: str | None
    reached: int
    categories: Categories
    mask: int


def restrict(available: Availability, ask: Ask, stock: Stock) -> Availability:
    """What of the available may be offered on these terms; an unknown age has reached none."""
    reached = 0 if ask.age is None else bisect_right(available.ages, ask.age)
    everything = reached == len(available.ages)
    if everything and ask.allowed is None and not any(ask.categories):
        return available
    terms = Terms(ask.country or ask.home, reached, ask.categories, id(ask.allowed))
    kept = stock.restricted
    known = kept.get(terms)
    # the mask is held, so that no other one can have its id
    if known is not None and known.base is available and known.mask is ask.allowed:
        return known.available
    made = _restricted(available, ask, stock)
    kept.pop(terms, None)
    if len(kept) >= MOST_KEPT:
        kept.popitem(last=False)
    kept[terms] = Restricted(available, ask.allowed, made)
    return made


def _restricted(available: Availability, ask: Ask, stock: Stock) -> Availability:
    codes = available.codes.copy()
    size, columns = len(codes), stock.catalogue.columns
    free = codes == OFFERABLE
    least = columns.min_age[:size]
    refused = [
        (FILTERED, _outside(ask.allowed, size)),
        (CATEGORY, _forbidden(ask.categories, stock, size)),
        (AGE, least > (0 if ask.age is None else ask.age)),
    ]
    for code, mask in refused:
        if mask is not None:
            codes[free & mask] = code
    return replace(available, codes=codes, restricted=True, _eligible=None, _withheld=None)


def _outside(allowed: Mask | None, size: int) -> Mask | None:
    if allowed is None:
        return None
    outside = np.ones(size, dtype=np.bool_)
    held = min(size, len(allowed))
    outside[:held] = ~allowed[:held]
    return outside


def _forbidden(categories: Categories, stock: Stock, size: int) -> Mask | None:
    """Rows whose category the placement does not take; one without a category is none of those
    that are taken, and none of those that are not."""
    if not any(categories):
        return None
    known = stock.catalogue.categories
    # the last place stands for no category, whose code is -1
    forbidden = np.full(len(known.labels) + 1, bool(categories.only))
    forbidden[[known.find(label) for label in categories.only if known.find(label) != NONE]] = False
    forbidden[[known.find(label) for label in categories.never if known.find(label) != NONE]] = True
    return forbidden[stock.catalogue.columns.category[:size]]
