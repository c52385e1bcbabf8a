"""What a feature declares of itself; the package's modules declare theirs."""

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Matrix: TypeAlias = NDArray[np.float64]
"""One row a candidate, one column a feature."""


@dataclass(frozen=True, slots=True)
class Feature:
    """One number a candidate.

    meaning: in words, with unit and range; stores: what is kept for it between requests; writes:
    who keeps that up to date; reads: what else of a request it looks at.
    """

    name: str
    meaning: str
    stores: str
    writes: str
    reads: str
