"""The names of the methods that `attune evaluate next-item` compares, in the order it does."""

from typing import Final

from services.recommend.evaluation.lightfm_sessions import LightFmSessions
from services.recommend.evaluation.methods import (
    ItemToItem,
    Method,
    Popularity,
    SessionNeighbours,
    Shipped,
    Vstan,
)

METHODS: Final[dict[str, type[Method]]] = {
    "popularity": Popularity,
    "item-to-item": ItemToItem,
    "vmis": SessionNeighbours,
    "vstan": Vstan,
    "lightfm": LightFmSessions,
    "shipped": Shipped,
}
SHIPPED: Final = "shipped"
