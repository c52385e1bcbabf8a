"""What one decision is to hold to: how many offers, where, by which objective and rules.

Between the request and its placement (service.py) and the pure `pipeline`.
"""

from dataclasses import dataclass
from typing import Final

from services.recommend.catalogue.columns import Mask

EXPLORE_SHARE: Final = 0.1
"""Of requests that give one slot to an item to be learned about, where no placement says else."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One call's terms.

    n: offers; country: the shopper's place; age: the shopper's years, None where unknown;
    surprise: 0 (familiar) to 1; explore: chance that one slot is given to an item to be learned
    about; allowed: by row what the request's filters let pass, None for all.
    """

    n: int = 10
    country: str | None = None
    age: int | None = None
    surprise: float = 0.0
    explore: float = 0.0
    allowed: Mask | None = None
