"""One trained thing as it lies in the model store: named arrays, and facts about them.

A trainer makes parts, store.py keeps them, and recommend and profile make of each what they work
with.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Part:
    """arrays: by name, no objects in them; items are local numbers (indexes into the version's
    list of item ids), which whoever loads the part maps to its own. facts: settings and figures,
    as JSON has them."""

    name: str
    arrays: dict[str, NDArray[np.generic]]
    facts: dict[str, Any] = field(default_factory=dict)
