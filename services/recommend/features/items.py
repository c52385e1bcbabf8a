"""Features of the item alone: age, stock, price against the shopper's usual, numeric fields."""

from typing import Final

import numpy as np

from services.recommend.arrays import Numbers, Scores
from services.recommend.compiled import compiled
from services.recommend.features.feature import Feature

DAY_MS: Final = 86_400_000.0

AGE: Final = Feature(
    "age",
    "Days since the item may be offered, of the future 0; nan: no such day.",
    "valid_from of the catalogue",
    "admin",
    "the time",
)
STOCK: Final = Feature(
    "stock", "Pieces at hand; nan: not counted.", "the catalogue", "admin", "nothing"
)
ITEM_PRICE: Final = Feature(
    "item_price",
    "Price in minor units, log(1 + n); nan: none.",
    "the catalogue",
    "admin",
    "nothing",
)
PRICE_GAP: Final = Feature(
    "price_gap",
    "Price over the geometric mean of what the shopper looked at; nan: none.",
    "the catalogue",
    "admin",
    "the session",
)


def number_field(field: str) -> Feature:
    """The feature of one numeric field of items."""
    return Feature(
        f"number:{field}", f"The item's {field}; nan: none.", "the catalogue", "admin", "nothing"
    )


@compiled("float64(int64, int64[::1], int64)")
def age(row: int, valid_from: Numbers, now: int) -> float:
    """Days, of the future 0."""
    if valid_from[row] <= 0:
        return np.nan
    return float(max((now - valid_from[row]) / DAY_MS, 0.0))


@compiled("float64(int64, float64[::1])")
def number_at(row: int, numbers: Scores) -> float:
    """The number by row, nan behind the end."""
    return float(numbers[row]) if row < len(numbers) else np.nan


@compiled("float64(int64, int64[::1])")
def price_at(row: int, price: Numbers) -> float:
    """By row, nan where there is none."""
    return float(price[row]) if 0 <= row < len(price) and price[row] >= 0 else np.nan


@compiled("float64(int64[::1], int64[::1])")
def usual_price(seen: Numbers, price: Numbers) -> float:
    """Geometric mean price of what was looked at (rows), nan where nothing has one."""
    total, count = 0.0, 0
    for row in seen:
        held = price_at(row, price)
        if held > 0.0:
            total += np.log(held)
            count += 1
    return float(np.exp(total / count)) if count else np.nan
