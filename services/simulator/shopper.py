"""Who shops: fixed traits that the world knows and Attune must find out, and a life that moves on.

Pure and seeded. A shopper's own `Random` makes what one shopper does independent of how the
visits of all shoppers interleave.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final

from services.simulator.clock import DAY_MS
from services.simulator.world import CATEGORIES, COUNTRIES, SEASONS, World, brands_of

CHURN_PER_DAY: Final = 0.02
"""Chance a day that a shopper leaves for good."""
VISITS_PER_DAY: Final = 1.7


@dataclass(frozen=True, slots=True)
class Traits:
    """What a shopper is like.

    categories, brands: how much each is liked, 0 to 1; budget: price relative to the category's
    typical price that feels right; price_sensitivity: how fast liking falls away from it;
    seasons: interest in items of each season; visits_per_day; logs_in: chance to be logged in
    when a visit starts; opens_mail: chance to open a message; leaves_at: business epoch ms at
    which the shopper is gone for good.
    """

    customer: str
    country: str
    categories: Mapping[str, float]
    brands: Mapping[str, float]
    budget: float
    price_sensitivity: float
    seasons: Mapping[str, float]
    visits_per_day: float
    logs_in: float
    opens_mail: float
    mail_consent: bool
    leaves_at: int


@dataclass(frozen=True, slots=True)
class Order:
    """What a shopper bought: item to quantity; `total` in cents."""

    id: str
    lines: Mapping[str, int]
    total: int
    customer: str | None
    anonymous: str


@dataclass(slots=True)
class Shopper:
    """A shopper's traits and present state; visits change it.

    device: the anonymous id of the browser in use; patience: factor on the visit rate, which
    annoying messages lower; met: whether the shop has seen this customer log in before.
    """

    traits: Traits
    random: Random
    device: str
    cart: dict[str, int] = field(default_factory=dict)
    bought: set[str] = field(default_factory=set)
    orders: int = 0
    patience: float = 1.0
    unsubscribed: bool = False
    met: bool = False
    logged_in: bool = False

    def new_id(self) -> str:
        """A fresh event, order or device id, drawn from the shopper's own randomness."""
        return f"{self.random.getrandbits(96):024x}"

    def identity(self) -> dict[str, str]:
        """Who an event of this shopper says it is from."""
        if self.logged_in:
            return {"customer": self.traits.customer, "anonymous": self.device}
        return {"anonymous": self.device}


def population(world: World, start: int, count: int = 300) -> list[Shopper]:
    """The shoppers of a world; `start` is the business epoch ms at which the run begins."""
    shoppers = []
    for number in range(count):
        random = Random(f"shopper-{world.seed}-{number}")
        traits = _traits(random, number, start)
        shoppers.append(Shopper(traits, random, device=f"device-{random.getrandbits(64):016x}"))
    return shoppers


def next_visit_in(shopper: Shopper) -> float:
    """Business milliseconds until the shopper's next visit: exponential gaps."""
    rate = max(shopper.traits.visits_per_day * shopper.patience, 1e-3)
    return shopper.random.expovariate(rate) * DAY_MS


def _traits(random: Random, number: int, start: int) -> Traits:
    loved = random.sample(list(CATEGORIES), 2)
    categories = {name: random.uniform(0.0, 0.12) for name in CATEGORIES}
    categories[loved[0]] = random.uniform(0.85, 1.0)
    categories[loved[1]] = random.uniform(0.55, 0.85)
    makers = sorted({brand for name in loved for brand in brands_of(name)})
    brands = {brand: random.uniform(0.7, 1.0) for brand in random.sample(makers, 3)}
    favourite_season = random.choice(SEASONS)
    return Traits(
        customer=f"customer-{number:04d}",
        country=random.choice(COUNTRIES),
        categories=categories,
        brands=brands,
        budget=random.lognormvariate(-0.1, 0.3),
        price_sensitivity=random.uniform(0.3, 1.5),
        seasons={name: 1.0 if name == favourite_season else 0.6 for name in SEASONS},
        visits_per_day=VISITS_PER_DAY * random.gammavariate(3.0, 1 / 3.0),
        logs_in=random.choice((0.1, 0.5, 0.9)),
        opens_mail=random.uniform(0.2, 0.8),
        mail_consent=random.random() < 0.9,
        leaves_at=start + int(random.expovariate(CHURN_PER_DAY) * DAY_MS),
    )
