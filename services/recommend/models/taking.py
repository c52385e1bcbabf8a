"""A model version becomes what recommend serves with, under the item numbers of this process.

Between the store and the keeper. Runs in a thread beside requests: numpy does the work, which
lets go of the interpreter, and loops over items are short.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import numpy as np

from services.recommend.arrays import Numbers
from services.recommend.candidates.intervals import Intervals
from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.knowledge import Knowledge
from services.recommend.learning import Learned
from services.recommend.models.live_parts import live_parts
from services.recommend.numbers import ItemNumbers
from services.recommend.ranker.serving import TreeRanker
from services.recommend.ranker.training import PART as RANKER
from services.recommend.ranking import LinearRanker, Ranker
from services.recommend.similar.model import Similar
from services.recommend.vectors.model import Vectors
from shared.decisions import ModelName
from shared.errors import InvalidInput
from shared.models.part import Part
from shared.models.store import Version

UNTRAINED: Final = ModelName(name="linear", version="untrained")


@dataclass(frozen=True, slots=True)
class Kind:
    """How a part becomes what serves: `of` with the numbers of this process, `empty` without."""

    of: Callable[[Part, Numbers], Any]
    empty: Callable[[], Any]


KINDS: Final[Mapping[str, Kind]] = {
    "intervals": Kind(Intervals.of, Intervals),
    "vectors": Kind(Vectors.of, Vectors),
    "similar": Kind(Similar.of, Similar),
}
"""Parts by name, which is also the field of Knowledge they are put in."""
SERVED: Final = frozenset(entry.name for entry in fields(Knowledge))


@dataclass(slots=True)
class Taken:
    """What a version serves with. positions: where in the log the live tail goes on."""

    name: ModelName
    learned: Learned
    neighbours: NeighbourSettings = field(default_factory=NeighbourSettings)
    ranker: Ranker = field(default_factory=lambda: LinearRanker(UNTRAINED))
    kinds: dict[str, Any] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)

    def put_in(self, knowledge: Knowledge) -> None:
        """Serve with all of it from now on. No request runs meanwhile, as nothing here waits."""
        knowledge.sessions, knowledge.pairs = self.learned.sessions, self.learned.pairs
        knowledge.neighbours = self.neighbours
        for name, kind in KINDS.items():
            if name not in SERVED:
                continue
            setattr(knowledge, name, self.kinds.get(name) or kind.empty())
        knowledge.ranker = self.ranker


def take_up(version: Version, numbers: ItemNumbers, capacity: int) -> Taken:
    """Make a version ready. Raises InvalidInput where a part lacks what it must have."""
    metadata, items, parts = version
    name = ModelName(name=metadata.name, version=metadata.version, trained_at=metadata.trained_at)
    local = np.zeros(len(items), dtype=np.int64)
    local[1:] = np.fromiter(map(numbers.number, items[1:]), dtype=np.int64, count=len(items) - 1)
    try:
        live = live_parts(parts, local, numbers, capacity)
        ranker: Ranker = LinearRanker(name)
        if RANKER in parts:
            ranker = TreeRanker.of(parts[RANKER], name)
        kinds = {part: kind.of(parts[part], local) for part, kind in KINDS.items() if part in parts}
        for made in kinds.values():
            if isinstance(made, Vectors | Similar):
                made.make_room(len(numbers))
    except (KeyError, ValueError, TypeError, IndexError) as error:
        raise InvalidInput(f"the model {metadata.version} is damaged: {error!r}") from None
    return Taken(
        name=name,
        learned=live.learned,
        neighbours=live.neighbours,
        ranker=ranker,
        kinds=kinds,
        positions=metadata.positions,
    )
