"""Stub recommenders for the simulated shop: half of the shoppers get random offers."""

from random import Random

from services.simulator import taste
from services.simulator.actions import Ask, Offers
from services.simulator.dry_run import Recommender
from services.simulator.shopper import Shopper
from services.simulator.world import World

JUNE = 6
CONSIDERED = 120
"""Items that the taste-aware stub looks at: it knows the shopper, but not the whole shop."""


def split(world: World, seed: int, *, aware: bool = True) -> Recommender:
    """Offers by true taste to one half of the shoppers, random ones to the other half.

    aware False: random offers for both, under the names of both arms.
    """
    random = Random(f"stub-{seed}")
    arms: dict[str, str] = {}

    def recommend(shopper: Shopper, ask: Ask) -> Offers:
        drawn = random.choice(("personalised", "random"))
        arm = arms.setdefault(shopper.traits.customer, drawn)
        sold = [item for item in world.items if item.sold_in(shopper.traits.country)]
        pool = random.sample(sold, CONSIDERED)
        if arm == "personalised" and aware:
            pool.sort(key=lambda item: -taste.match(shopper.traits, item, JUNE))
        items = tuple(item.id for item in pool[: ask.count])
        return Offers(f"decision-{random.getrandbits(64):x}", arm, items)

    return recommend
