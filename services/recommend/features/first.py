"""Features that candidates have from their sources: the first stage's, by pool_loops.FIRST.

In [0, 1], 0 where a source did not find the candidate. Computed in candidates/pool_loops.py over
all candidates; the others of this package are computed for those that go on.
"""

from typing import Final

from services.recommend.features.feature import Feature

_STATISTICS: Final = "item statistics by partition and hour"
_PROFILE: Final = "the shopper's view"

FIRST_FEATURES: Final = (
    Feature(
        "session",
        "Votes of sessions like this one, relative to the best candidate's.",
        "sessions",
        "training and live sessions",
        "the session",
    ),
    Feature(
        "together",
        "Cosine of being in one order with what the shopper has or just bought.",
        "orders an item pair shares",
        "training and live orders",
        "page, cart and purchases",
    ),
    Feature(
        "category",
        "Share of the item's category in the shopper's preferences.",
        _PROFILE,
        "profile",
        "affinities",
    ),
    Feature(
        "brand",
        "Share of the item's brand in the shopper's preferences.",
        _PROFILE,
        "profile",
        "affinities",
    ),
    Feature(
        "price",
        "Share of the item's price band in the shopper's preferences.",
        _PROFILE,
        "profile",
        "affinities",
    ),
    Feature(
        "trend",
        "How much the item is wanted now, logarithmic, relative to the most wanted.",
        _STATISTICS,
        "profile",
        "nothing",
    ),
    Feature(
        "conversion",
        "Purchases a view, smoothed, against the shop's average.",
        _STATISTICS,
        "profile",
        "nothing",
    ),
    Feature(
        "seen",
        "1 for what the shopper looked at lately and did not buy.",
        _PROFILE,
        "profile",
        "the session",
    ),
    Feature(
        "similar",
        "How like what the shopper looks at the item is, by who else likes both.",
        "item-to-item lists",
        "training",
        "the session",
    ),
    Feature(
        "vector",
        "How near the item is to the shopper in the learned space.",
        "item and customer vectors",
        "training",
        "the session",
    ),
    Feature(
        "again",
        "How much it is time to buy the item again, by its own and the shopper's intervals.",
        "intervals between purchases by item",
        "training",
        "purchases",
    ),
    Feature("new", "How new the item is, 1 for the newest.", "the catalogue", "admin", "nothing"),
)
