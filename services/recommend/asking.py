"""What one decision is to hold to: how many offers, where, by which objective and rules.

Between the request and its placement (service.py) and the pure `pipeline`.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

from services.recommend.catalogue.columns import Mask
from services.recommend.request import Context, Placed, Promotions, RecommendRequest
from shared.catalogue import Cap, Objective, PlacementChanged


@dataclass(frozen=True, slots=True)
class Defaults:
    """What holds where neither the request nor its placement says it.

    explore: share of answers that give one slot to an item to be learned about; cap: how often an
    item is shown to a customer who does not click it; country: where the shop is at home, None
    where shoppers may be anywhere.
    """

    n: int = 10
    surprise: float = 0.1
    explore: float = 0.1
    cap: Cap | None = None
    country: str | None = None


class Categories(NamedTuple):
    """A placement's categories: no others than `only`, where any is named; none of `never`."""

    only: tuple[str, ...] = ()
    never: tuple[str, ...] = ()


EVERY_CATEGORY: Final = Categories()


class Ask(NamedTuple):
    """One call's terms.

    n: offers; country: the shopper's place as the request says it; home: the shop's, which stands
    for a place that nobody knows; age: the shopper's years, None where unknown;
    objective: what is maximised; surprise: 0 (familiar) to 1; explore: chance that one slot is
    given to an item to be learned about; cap: how often an item is shown without a click;
    most_of_category: of one category at most; allowed: by row what the request's filters let pass,
    None for all; promotions: what is to have a share of the answer.
    """

    n: int = 10
    country: str | None = None
    home: str | None = None
    age: int | None = None
    objective: Objective = "click"
    surprise: float = 0.0
    explore: float = 0.0
    cap: Cap | None = None
    categories: Categories = EVERY_CATEGORY
    most_of_category: int | None = None
    allowed: Mask | None = None
    promotions: Promotions | None = None


NO_PLACEMENT: Final = PlacementChanged(placement="")


def ask_of(
    request: RecommendRequest | Placed,
    context: Context,
    placement: PlacementChanged | None,
    defaults: Defaults,
    allowed: Mask | None = None,
) -> Ask:
    """The terms of a request at its placement, which None stands for where nobody administered it;
    allowed: the mask of its filters."""
    known = placement or NO_PLACEMENT
    return Ask(
        n=request.n or (defaults.n if placement is None else placement.n),
        country=context.country,
        home=defaults.country,
        age=context.age,
        objective=request.objective or known.objective,
        surprise=_first(request.surprise, known.surprise, defaults.surprise),
        explore=_first(known.explore_share, defaults.explore),
        cap=known.cap or defaults.cap,
        categories=_categories(known),
        most_of_category=known.most_of_category,
        allowed=allowed,
        promotions=request.promotions,
    )


def _first(*given: float | None) -> float:
    for value in given:
        if value is not None:
            return value
    return 0.0


def _categories(placement: PlacementChanged) -> Categories:
    if not (placement.only_categories or placement.never_categories):
        return EVERY_CATEGORY
    return Categories(tuple(placement.only_categories), tuple(placement.never_categories))
