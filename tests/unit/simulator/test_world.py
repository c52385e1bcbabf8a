from statistics import mean

import pytest

from services.simulator import taste
from services.simulator.shopper import population
from services.simulator.world import CATEGORIES, WORLDS, build, season_of

START = 1_780_300_800_000


def test_the_same_seed_gives_the_same_world_and_shoppers() -> None:
    first, second = build("default", 7), build("default", 7)
    assert first == second
    assert [shopper.traits for shopper in population(first, START)] == [
        shopper.traits for shopper in population(second, START)
    ]


def test_another_seed_gives_other_prices_and_tastes() -> None:
    first, second = build("default", 1), build("default", 2)
    assert [item.price for item in first.items] != [item.price for item in second.items]
    assert population(first, START)[0].traits != population(second, START)[0].traits


@pytest.mark.parametrize("name", sorted(WORLDS))
def test_worlds_differ_in_effects_only(name: str) -> None:
    world = build(name, 3)
    assert world.items == build("default", 3).items
    assert world.effects == WORLDS[name]


def test_every_category_is_stocked_and_every_item_priced() -> None:
    world = build("default", 1)
    assert 300 <= len(world.items) <= 500
    assert all(len(world.by_category[name]) > 20 for name in CATEGORIES)
    assert all(item.price >= 99 for item in world.items)
    assert any(item.season for item in world.items)
    assert any(item.countries for item in world.items)


def test_an_item_is_not_sold_where_it_may_not_be() -> None:
    world = build("default", 1)
    limited = next(item for item in world.items if item.countries and item.stock)
    assert limited.sold_in(limited.countries[0])
    assert not limited.sold_in("US")
    gone = next(item for item in world.items if item.stock == 0)
    assert not gone.sold_in("DE")


def test_liking_follows_category_then_brand_price_and_season() -> None:
    world = build("default", 1)
    for shopper in population(world, START, count=20):
        traits = shopper.traits
        best = max(traits.categories, key=lambda name: traits.categories[name])
        worst = min(traits.categories, key=lambda name: traits.categories[name])
        loved, left = (
            mean(taste.match(traits, item, 6) for item in world.by_category[category])
            for category in (best, worst)
        )
        assert loved > 4 * left
        assert all(0 <= taste.match(traits, item, 6) <= 1 for item in world.items)


def test_months_have_seasons() -> None:
    assert [season_of(month) for month in (1, 4, 7, 10, 12)] == [
        "winter",
        "spring",
        "summer",
        "autumn",
        "winter",
    ]


def test_catalogue_entries_name_what_the_shop_knows() -> None:
    entry = build("default", 1).items[0].as_catalogue()
    assert {"item", "title", "category", "brand", "price", "currency", "stock"} <= set(entry)
    assert isinstance(entry["price"], int)
