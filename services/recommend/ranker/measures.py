"""How good an order of rankings is: nDCG and reciprocal ranks, by ranking. Pure."""

import numpy as np

from services.recommend.arrays import Numbers, Scores


def ndcg(scores: Scores, gains: Numbers, sizes: Numbers, k: int = 10) -> Scores:
    """Normalised discounted cumulative gain at k by ranking (gain 2^g - 1, discount log2; Jarvelin
    and Kekalainen, 2002); equal scores in the order given; 0 where nothing could be gained."""
    return _discounted(_sorted(scores, gains, sizes), sizes, k) / np.maximum(
        _discounted(_sorted(gains.astype(np.float64), gains, sizes), sizes, k), 1e-12
    )


def reciprocal_ranks(scores: Scores, gains: Numbers, sizes: Numbers) -> Scores:
    """One over the rank of the first item with a gain, by ranking; 0 where there is none."""
    hit = _sorted(scores, gains, sizes) > 0
    starts = np.cumsum(sizes) - sizes
    ranks = np.arange(len(gains)) - np.repeat(starts, sizes) + 1.0
    found: Scores = np.maximum.reduceat(np.where(hit, 1.0 / ranks, 0.0), starts)
    return found


def _sorted(scores: Scores, gains: Numbers, sizes: Numbers) -> Numbers:
    """Gains in the order of the scores, ranking by ranking."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    return gains[np.lexsort((np.arange(len(gains)), -scores, group))]


def _discounted(gains: Numbers, sizes: Numbers, k: int) -> Scores:
    starts = np.cumsum(sizes) - sizes
    place = np.arange(len(gains)) - np.repeat(starts, sizes)
    worth = np.where(place < k, (2.0**gains - 1.0) / np.log2(place + 2.0), 0.0)
    total: Scores = np.add.reduceat(worth, starts)
    return total
