"""Records of one topic that wait to be written, in log order. Pure; `archiver` owns one a topic."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from shared.archive_rows import Recorded
from shared.errors import ArchiveMismatch

ROW_BYTES = 300
"""What a record costs in memory beside its key and value, about."""


@dataclass(slots=True)
class Buffer:
    """`wanted`: the next offset of each partition that is followed. Times are monotonic seconds."""

    topic: str
    wanted: dict[int, int] = field(default_factory=dict)
    rows: int = 0
    size: int = 0
    since: float = 0.0
    _waiting: dict[int, list[Recorded]] = field(default_factory=dict)

    def begin(self, wanted: dict[int, int]) -> None:
        """Follows these partitions, each from its offset, and drops whatever waits."""
        self.wanted = dict(wanted)
        self.clear()

    def clear(self) -> None:
        """Nothing waits any more: it was written, or is to be read again."""
        self._waiting = {}
        self.rows = self.size = 0

    def forget(self, partitions: Iterable[int]) -> None:
        """Drops what belongs to another member now, which will read it from the log."""
        for number in partitions:
            self.wanted.pop(number, None)
            for record in self._waiting.pop(number, ()):
                self.rows -= 1
                self.size -= _size(record)

    def add(
        self, partition: int, records: Sequence[Recorded], now: float
    ) -> tuple[int, int] | None:
        """Takes records of a followed partition; returns the offsets [from, to) that are missing.

        Raises ArchiveMismatch where the log begins anew below what the archive has: what it holds
        there now is something else.
        """
        wanted, first = self.wanted[partition], records[0].offset
        if first < wanted:
            raise ArchiveMismatch(
                f"{self.topic}/{partition} is archived up to offset {wanted} and the log gives "
                f"{first}: it lost its end or was made anew, and the archive is of what it was"
            )
        if not self.rows:
            self.since = now
        self._waiting.setdefault(partition, []).extend(records)
        self.rows += len(records)
        self.size += sum(map(_size, records))
        self.wanted[partition] = records[-1].offset + 1
        return (wanted, first) if first > wanted else None

    def waiting(self) -> list[Recorded]:
        """All that waits, by partition and offset: so a reader of one finds its rows together."""
        return [record for number in sorted(self._waiting) for record in self._waiting[number]]

    def waiting_of(self, partition: int) -> int:
        """How many of a partition wait."""
        return len(self._waiting.get(partition, ()))


def _size(record: Recorded) -> int:
    return len(record.key or b"") + len(record.value or b"") + ROW_BYTES
