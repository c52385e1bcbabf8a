"""What goes into and comes out of the profile store besides identities."""

from typing import NamedTuple

from services.profile.item_counts import Increments
from shared.errors import AttuneError, StoreUnavailable


class RecreatedTopic(AttuneError):
    """The state was folded from another incarnation of `events`: refused, never skipped."""

    code = "recreated_topic"


class PartitionsChanged(AttuneError):
    """`events` has other partitions than the state was folded from: refused, never skipped."""

    code = "partitions_changed"


class StoreEmptied(AttuneError):
    """The log's offsets are committed but their profiles are gone: refused, never half folded."""

    code = "store_emptied"


class StoreNotKeeping(StoreUnavailable):
    """Redis answers, and would lose what it is told: offsets are not committed meanwhile."""

    code = "store_not_keeping"


class GenerationMoved(StoreUnavailable):
    """Another generation went live in the middle of a batch: it is taken up again there."""

    code = "generation_moved"


class DueTimer(NamedTuple):
    """An entry of the timer index that has come due (business epoch ms)."""

    partition: int
    key: str
    due: int


class ItemBatch(NamedTuple):
    """What a batch adds to one partition's item statistics, from one position to another."""

    partition: int
    expected: int
    position: int
    increments: Increments
