"""The simulated shop's world: what it sells, and what offers and messages do to its shoppers.

Pure and seeded: the same name and seed give the same world. Shoppers live in it (shopper.py),
visit it (visit.py) and judge its items (taste.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

COUNTRIES: Final = ("DE", "FR", "GB", "NL", "PL")
CURRENCY: Final = "EUR"
SEASONS: Final = ("winter", "spring", "summer", "autumn")
CATEGORIES: Final[Mapping[str, int]] = {
    "shoes": 8_000,
    "jackets": 12_000,
    "dresses": 7_000,
    "shirts": 3_500,
    "trousers": 5_500,
    "bags": 9_000,
    "watches": 18_000,
    "outdoor": 6_500,
    "kitchen": 4_000,
    "garden": 4_500,
    "toys": 2_500,
    "beauty": 2_200,
}
"""Category to its typical price in cents."""
SEASONAL: Final[Mapping[str, tuple[str, ...]]] = {
    "jackets": ("autumn", "winter"),
    "dresses": ("spring", "summer"),
    "outdoor": ("spring", "summer"),
    "garden": ("spring", "summer"),
    "shoes": SEASONS,
}
"""Categories in which a part of the items belongs to one of these seasons."""
BRANDS_PER_CATEGORY: Final = 4
BRANDS: Final = tuple(f"brand-{number:02d}" for number in range(1, 17))


@dataclass(frozen=True, slots=True)
class Item:
    """Something the shop sells. `price` in cents; `countries` empty: sold everywhere."""

    id: str
    title: str
    category: str
    brand: str
    price: int
    season: str | None
    countries: tuple[str, ...]
    stock: int

    def sold_in(self, country: str) -> bool:
        """Whether a shopper of that country can buy it now."""
        return self.stock > 0 and (not self.countries or country in self.countries)

    def as_catalogue(self) -> dict[str, Any]:
        """The item as the shop tells it to the catalogue's admin endpoint."""
        fields = {"season": self.season} if self.season else {}
        return {
            "item": self.id,
            "title": self.title,
            "category": self.category,
            "brand": self.brand,
            "price": self.price,
            "currency": CURRENCY,
            "stock": self.stock,
            "countries": list(self.countries),
            "fields": fields,
        }


@dataclass(frozen=True, slots=True)
class Effects:
    """What offers and messages do in a world.

    attention: chance that a shopper looks at the offers shown; message_return: chance that a
    clicked message ends in a visit; message_annoys: factor on the visit rate after each message;
    unsubscribe: chance to unsubscribe on a message.
    """

    attention: float
    message_return: float
    message_annoys: float
    unsubscribe: float


WORLDS: Final[Mapping[str, Effects]] = {
    "default": Effects(0.95, 0.8, 1.0, 0.005),
    "null": Effects(0.0, 0.0, 1.0, 0.005),
    "hostile": Effects(0.95, 0.0, 0.4, 0.5),
}


@dataclass(frozen=True, slots=True)
class World:
    """The shop's items and the effects that hold; the same for the same name and seed."""

    name: str
    seed: int
    effects: Effects
    items: tuple[Item, ...]
    by_id: Mapping[str, Item] = field(repr=False)
    by_category: Mapping[str, tuple[Item, ...]] = field(repr=False)


def season_of(month: int) -> str:
    """The northern season of a month from 1 to 12."""
    return SEASONS[month % 12 // 3]


def build(name: str, seed: int, items: int = 400) -> World:
    """A world of that name. Raises KeyError for a name that is not in WORLDS."""
    random = Random(f"world-{seed}")
    names = list(CATEGORIES)
    stock = tuple(_item(random, number, names[number % len(names)]) for number in range(items))
    shelves = {name: tuple(item for item in stock if item.category == name) for name in CATEGORIES}
    return World(name, seed, WORLDS[name], stock, {item.id: item for item in stock}, shelves)


def brands_of(category: str) -> tuple[str, ...]:
    """The brands that make items of a category."""
    start = list(CATEGORIES).index(category)
    return tuple(BRANDS[(start + step * 5) % len(BRANDS)] for step in range(BRANDS_PER_CATEGORY))


def _item(random: Random, number: int, category: str) -> Item:
    brand = random.choice(brands_of(category))
    cents = CATEGORIES[category] * random.lognormvariate(0.0, 0.45)
    seasons = SEASONAL.get(category, ())
    season = random.choice(seasons) if seasons and random.random() < 0.4 else None
    countries = tuple(random.sample(COUNTRIES, 3)) if random.random() < 0.06 else ()
    return Item(
        id=f"item-{number:04d}",
        title=f"{brand} {category} no. {number}",
        category=category,
        brand=brand,
        price=max(100, round(cents / 100) * 100 - 1),
        season=season,
        countries=countries,
        stock=0 if random.random() < 0.02 else random.randint(20, 500),
    )
