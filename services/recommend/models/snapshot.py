"""A trained snapshot as files: sessions, basket pairs and the items they name.

One folder a version, written by training and read by recommend: `items.json` (ids by local
number), `sessions.npz`, `pairs.npz`, `metadata.json`. Learned models get files beside these.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct

from services.recommend.arrays import Codes, Numbers
from services.recommend.candidates.bought_together import Pairs
from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.learning import Learned
from services.recommend.numbers import ItemNumbers
from shared.errors import InvalidInput

FORMAT: Final = 1
METADATA: Final = "metadata.json"


class Metadata(Struct, kw_only=True):
    """What a version is and was made of.

    trained_at: RFC 3339; data: counts and the range of event times (epoch ms); positions: next
    offset by partition of `events`, where the live tail takes over; neighbours: settings chosen;
    metrics: on the held-out part.
    """

    name: str
    version: str
    trained_at: str
    format: int = FORMAT
    data: dict[str, Any] = {}
    positions: dict[str, int] = {}
    neighbours: dict[str, float] = {}
    metrics: dict[str, Any] = {}

    def neighbour_settings(self) -> NeighbourSettings:
        """The settings, with defaults where none were chosen."""
        return NeighbourSettings.of(self.neighbours)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """sessions: rows of local item numbers, oldest first, padded with 0; orders: (item, orders);
    together: (item, partner, orders with both); `items` by local number, items[0] is padding."""

    items: list[str]
    sessions: Codes
    orders: Numbers
    together: Numbers


def take(learned: Learned) -> Snapshot:
    """The snapshot of what was learned. Numbers stay as they are in this process."""
    index, pairs = learned.sessions, learned.pairs
    count = min(index.total, index.capacity)
    places = np.arange(index.total - count, index.total) % index.capacity
    orders = np.array(sorted(pairs.orders.items()), dtype=np.int64).reshape(-1, 2)
    together = np.array(sorted(pairs.counted()), dtype=np.int64).reshape(-1, 3)
    return Snapshot(list(learned.numbers.ids), index.rows[places], orders, together)


def write(snapshot: Snapshot, metadata: Metadata, folder: Path) -> None:
    """Write a version's files into an empty folder; the metadata last."""
    folder.mkdir(parents=True)
    (folder / "items.json").write_bytes(msgspec.json.encode(snapshot.items))
    np.savez(folder / "sessions.npz", rows=snapshot.sessions)
    np.savez(folder / "pairs.npz", orders=snapshot.orders, together=snapshot.together)
    (folder / METADATA).write_bytes(msgspec.json.format(msgspec.json.encode(metadata), indent=2))


def read_metadata(folder: Path) -> Metadata:
    """Raises InvalidInput where the version is unreadable or of another format."""
    try:
        metadata = msgspec.json.decode((folder / METADATA).read_bytes(), type=Metadata)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"the model {folder.name} cannot be read: {error}") from None
    if metadata.format != FORMAT:
        raise InvalidInput(f"the model {folder.name} has format {metadata.format}, not {FORMAT}")
    return metadata


def read(folder: Path) -> Snapshot:
    """Raises InvalidInput where a file is missing or damaged."""
    try:
        items = msgspec.json.decode((folder / "items.json").read_bytes(), type=list[str])
        with np.load(folder / "sessions.npz", allow_pickle=False) as arrays:
            sessions = arrays["rows"]
        with np.load(folder / "pairs.npz", allow_pickle=False) as arrays:
            orders, together = arrays["orders"], arrays["together"]
    except (OSError, EOFError, KeyError, ValueError, msgspec.MsgspecError) as error:
        raise InvalidInput(f"the model {folder.name} cannot be read: {error}") from None
    return Snapshot(items, sessions, orders, together)


def restore(snapshot: Snapshot, numbers: ItemNumbers, capacity: int) -> Learned:
    """What was learned, with the item numbers of this process. Takes no lock for long, so it can
    run in a thread beside requests."""
    numbered = [0, *(numbers.number(item) for item in snapshot.items[1:])]
    local = np.array(numbered, dtype=np.int64)
    index = SessionIndex(capacity=capacity)
    index.fill(local[snapshot.sessions].astype(np.int32))
    pairs = Pairs()
    orders, together = snapshot.orders.copy(), snapshot.together.copy()
    orders[:, 0], together[:, :2] = local[orders[:, 0]], local[together[:, :2]]
    pairs.fill(orders, together)
    return Learned(numbers, index, pairs)
