"""Latencies in milliseconds, and the percentiles that reports state. Pure."""

from collections.abc import Sequence
from typing import Any

import numpy as np


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which that share lies (nearest rank, never invented); None where empty."""
    if not values:
        return None
    return float(np.quantile(np.asarray(values), share, method="higher"))


def summary(values: Sequence[float]) -> dict[str, Any]:
    """p50, p99 (rounded to microseconds) and n, as CLI.md writes latencies."""
    middle, high = percentile(values, 0.5), percentile(values, 0.99)
    return {
        "p50": None if middle is None else round(middle, 3),
        "p99": None if high is None else round(high, 3),
        "n": len(values),
    }
