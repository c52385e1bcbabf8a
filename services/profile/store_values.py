"""What goes into and comes out of the profile store besides identities."""

from typing import NamedTuple

from services.profile.item_counts import Increments
from shared.errors import AttuneError


class RecreatedTopic(AttuneError):
    """The state was folded from another incarnation of `events`: refused, never skipped."""

    code = "recreated_topic"


class StoreEmptied(AttuneError):
    """The log's offsets are committed but their profiles are gone: refused, never half folded."""

    code = "store_emptied"


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
