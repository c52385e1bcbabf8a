"""The archive as rebuild and training read it: the topics `events` and `decisions` as Delta tables.

`attune archive` writes them (`archive_table`), a row a record (`archive_rows`), with columns for
analysts beside it (`archive_columns`). Only these modules, `shared/archive*.py`, know deltalake.
"""

from collections.abc import Iterator, Sequence
from datetime import date
from operator import attrgetter
from typing import Final, Self

from deltalake import DeltaTable

from shared.archive_rows import RECORD_COLUMNS, ArchivedRecord, from_batch
from shared.archive_table import ends_of, incarnation_of, location_of, open_table, translated
from shared.errors import LogTruncated
from shared.settings import Settings
from shared.topics import Topic

WINDOW_BYTES: Final = 8 * 1_048_576
"""About how much of a partition is in memory at a time."""
_FIRST_WINDOW: Final = 256
_WINDOW: Final = (64, 32_768)
"""Fewest and most offsets in a window that holds records."""

_offset = attrgetter("offset")


class ArchiveReader:
    """One table as it stood when it was opened: later appends and compactions change nothing.

    Blocking: in an event loop call it through `asyncio.to_thread`.
    """

    def __init__(self, table: DeltaTable, location: str, topic_name: str) -> None:
        self._table = table
        self._location = location
        self._topic_name = topic_name
        self._ends = ends_of(table)

    @classmethod
    def open(cls, settings: Settings, topic: Topic) -> Self:
        """Raises NotFound where nothing was archived yet, ArchiveUnavailable."""
        location = location_of(settings, topic)
        return cls(open_table(location), location, topic.named(settings.namespace))

    @property
    def incarnation(self) -> str:
        """The id of the topic that was archived (bus.topic_id): of no other does it tell."""
        return incarnation_of(self._table)

    def ends(self) -> dict[int, int]:
        """For each partition the offset from which the archive knows nothing: read the log on."""
        return dict(self._ends)

    def records(
        self, partition: int, start: int = 0, *, complete: bool = True
    ) -> Iterator[list[ArchivedRecord]]:
        """The records of a partition from `start` to its end, in offset order.

        Memory is bounded by WINDOW_BYTES, whatever the table holds. `complete`: raises LogTruncated
        where records are missing in between, because the log had lost them before they were
        archived. Raises ArchiveUnavailable.
        """
        end = self._ends.get(partition, 0)
        position, span = start, _FIRST_WINDOW
        while position < end:
            stop = min(position + span, end)
            found = self._window(partition, position, stop)
            if complete:
                self._refuse_holes(partition, position, stop, found)
            if found:
                yield found
            position, span = stop, _next_span(span, found)

    def having(self, column: str, value: str, first: date, last: date) -> list[ArchivedRecord]:
        """The records of some days (by when the log took them) with this value in one of
        archive_columns' columns, in no order. Raises ArchiveUnavailable."""
        quoted = value.replace("'", "''")
        wanted = f"day >= '{first}' AND day <= '{last}' AND {column} = '{quoted}'"
        found: list[ArchivedRecord] = []
        with translated(self._location):
            for batch in self._table.scan(columns=RECORD_COLUMNS, predicate=wanted):
                found.extend(from_batch(self._topic_name, batch))
        return found

    def _window(self, partition: int, start: int, stop: int) -> list[ArchivedRecord]:
        wanted = f"log_partition = {partition} AND log_offset >= {start} AND log_offset < {stop}"
        found: list[ArchivedRecord] = []
        with translated(self._location):
            for batch in self._table.scan(columns=RECORD_COLUMNS, predicate=wanted):
                found.extend(from_batch(self._topic_name, batch))
        found.sort(key=_offset)
        return found

    def _refuse_holes(
        self, partition: int, start: int, stop: int, found: Sequence[ArchivedRecord]
    ) -> None:
        if len(found) == stop - start:
            return
        present = {record.offset for record in found}
        missing = [offset for offset in range(start, stop) if offset not in present]
        raise LogTruncated(
            f"the archive lacks {len(missing)} records of {self._topic_name}/{partition} between "
            f"offsets {missing[0]} and {missing[-1]}: the log had lost them before they were read"
        )


def _next_span(span: int, found: Sequence[ArchivedRecord]) -> int:
    """As many offsets as lately made up WINDOW_BYTES; through a hole in ever longer strides."""
    if not found:
        return span * 4
    held = sum(len(record.value or b"") + 200 for record in found)
    fewest, most = _WINDOW
    return max(fewest, min(most, span * 2, span * WINDOW_BYTES // held))
