"""The ranker's features: computed once, at decision time, logged, and trained from that log.

Fourth step of `pipeline`. One module a subject, each feature declared (feature.py) beside the
function that computes it; filling.py puts their columns side by side, shelf.py holds what they
know of items. The first stage's columns come from candidates/pool_loops.py.
"""

from typing import Final

from services.recommend.features.feature import Feature, Matrix
from services.recommend.features.first import FIRST_FEATURES

__all__ = [
    "DEFAULT_WEIGHTS",
    "FEATURES",
    "NAMES",
    "PREFERENCES",
    "Feature",
    "Matrix",
]

FEATURES: Final = {feature.name: feature.meaning for feature in FIRST_FEATURES}
"""The first stage's, which reasons rest on, by column."""
PREFERENCES: Final = ("category", "brand", "price_band")
"""Affinity fields, in the order of their features."""
NAMES: Final = list(FEATURES)
DEFAULT_WEIGHTS: Final = {
    "session": 1.0,
    "together": 1.0,
    "category": 0.5,
    "brand": 0.3,
    "price": 0.2,
    "trend": 0.3,
    "conversion": 0.2,
    "seen": -0.3,
    "similar": 0.5,
    "vector": 0.1,
    "again": 0.8,
    "new": 0.1,
}
"""Set by hand, for a shop whose decisions have taught nothing yet."""
