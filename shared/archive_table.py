"""The archive's tables as they are written: created, appended to exactly once, compacted, cleaned.

A table knows, for each partition of its topic, the next offset it wants, as the version of a Delta
application transaction `<incarnation>/<partition>`. Rows and these versions go into one commit, and
a commit is refused when another has moved one of them since this one looked: so a row is written
once, whichever writer dies or comes back from the dead. Blocking: call it from a thread.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Self

from deltalake import CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from shared.archive_rows import DAY, Recorded, schema_of, to_batch
from shared.errors import ArchiveConflict, ArchiveMismatch, ArchiveUnavailable, NotFound
from shared.settings import Settings
from shared.topics import Topic

INCARNATION: Final = "attune.incarnation"
FILE_BYTES: Final = 128 * 1_048_576
"""What compaction makes files of."""
_PROPERTIES: Final = {
    # Of the others no reader skips files by, and each would weigh on every commit.
    "delta.dataSkippingStatsColumns": "log_partition,log_offset",
    "delta.targetFileSize": str(FILE_BYTES),
}
_WRITING: Final = WriterProperties(
    compression="ZSTD",
    compression_level=3,
    # A reader of one partition takes out its own row groups of a file that holds all partitions.
    max_row_group_size=8_192,
    data_page_row_count_limit=2_048,
)


@dataclass(frozen=True, slots=True)
class Compacted:
    """What one compaction did."""

    files_added: int
    files_removed: int


def location_of(settings: Settings, topic: Topic) -> str:
    """Path or URL of a topic's table: shops that share an archive stay apart as in the log."""
    return f"{settings.archive.rstrip('/')}/{topic.named(settings.namespace)}"


@contextmanager
def translated(location: str) -> Iterator[None]:
    """Turns whatever deltalake raises inside into an AttuneError."""
    try:
        yield
    except TableNotFoundError as error:
        raise NotFound(f"there is no archive at {location}: `attune archive` makes it") from error
    except CommitFailedError as error:
        raise ArchiveConflict(f"another writer has changed the archive at {location}") from error
    except Exception as error:
        # Reading raises plain Exception; anything else is a fault of ours.
        if not isinstance(error, DeltaError | OSError) and type(error) is not Exception:
            raise
        why = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ArchiveUnavailable(f"the archive at {location} does not answer ({why})") from error


def open_table(location: str) -> DeltaTable:
    """The table as it is now. Raises NotFound, ArchiveUnavailable."""
    with translated(location):
        return DeltaTable(location)


def incarnation_of(table: DeltaTable) -> str:
    """The id of the topic whose records the table holds (bus.topic_id)."""
    return table.metadata().configuration.get(INCARNATION, "")


def ends_of(table: DeltaTable) -> dict[int, int]:
    """The next offset that the table wants, for each partition of its topic."""
    incarnation = incarnation_of(table)
    ends: dict[int, int] = {}
    while (end := table.transaction_version(f"{incarnation}/{len(ends)}")) is not None:
        ends[len(ends)] = end
    return ends


class ArchiveTable:
    """One table, for one writer; other writers may be at it too. Open with `open`."""

    def __init__(self, table: DeltaTable, location: str, topic: Topic) -> None:
        self._table = table
        self._location = location
        self._topic = topic
        self._incarnation = incarnation_of(table)
        self._ends = ends_of(table)

    @classmethod
    def open(cls, settings: Settings, topic: Topic, *, incarnation: str, partitions: int) -> Self:
        """The topic's table, made where there is none.

        Raises ArchiveMismatch when it holds the records of another incarnation of the topic,
        ArchiveUnavailable when the store does not answer.
        """
        location = location_of(settings, topic)
        try:
            table = open_table(location)
        except NotFound:
            table = _create(location, topic, incarnation, partitions)
        found = cls(table, location, topic)
        if found._incarnation != incarnation:
            raise ArchiveMismatch(
                f"the topic {topic.named(settings.namespace)} was made anew since {location} was "
                f"begun (its id was {found._incarnation}, it is {incarnation}): set ATTUNE_ARCHIVE "
                "to another place for the new topic"
            )
        found._add_partitions(partitions)
        return found

    def _add_partitions(self, partitions: int) -> None:
        added = dict.fromkeys(range(len(self._ends), partitions), 0)
        if added:
            with translated(self._location):
                self._table.create_write_transaction(
                    [],
                    "append",
                    schema_of(self._topic.name),
                    [DAY],
                    commit_properties=self._moving(added),
                )
            self.refresh()

    def ends(self) -> dict[int, int]:
        """The next offset the table wants, by partition, as of the last look or own append."""
        return dict(self._ends)

    def refresh(self) -> None:
        """Looks at the table again. Raises ArchiveUnavailable."""
        with translated(self._location):
            self._table = DeltaTable(self._location)
            self._ends = ends_of(self._table)

    def append(self, records: Sequence[Recorded]) -> None:
        """Writes rows and moves the partitions' ends behind them, in one commit.

        Each partition's records ascend and begin at or beyond its end. Raises ArchiveConflict when
        the table has some of them (then nothing was written), ArchiveUnavailable when it is not
        known whether they were: `refresh` tells.
        """
        ends = dict(self._ends)
        for record in records:
            if record.offset < ends.get(record.partition, 0):
                raise ArchiveConflict(f"{self._location} has these records already")
            ends[record.partition] = record.offset + 1
        moved = {number: end for number, end in ends.items() if end != self._ends.get(number)}
        batch = to_batch(self._topic.name, records)
        with translated(self._location):
            write_deltalake(
                self._table,
                batch,
                mode="append",
                writer_properties=_WRITING,
                commit_properties=self._moving(moved),
            )
        self._ends = ends

    def _moving(self, ends: Mapping[int, int]) -> CommitProperties:
        return CommitProperties(
            app_transactions=[
                Transaction(f"{self._incarnation}/{number}", end) for number, end in ends.items()
            ]
        )


def _create(location: str, topic: Topic, incarnation: str, partitions: int) -> DeltaTable:
    begun = [Transaction(f"{incarnation}/{number}", 0) for number in range(partitions)]
    try:
        with translated(location):
            return DeltaTable.create(
                location,
                schema_of(topic.name),
                partition_by=[DAY],
                description=f"Attune's archive of the topic {topic.name}: {topic.carries}",
                configuration=_PROPERTIES | {INCARNATION: incarnation},
                commit_properties=CommitProperties(app_transactions=begun),
                raise_if_key_not_exists=False,
            )
    except (ArchiveUnavailable, NotFound) as error:
        # Another writer may have made it in between.
        try:
            return open_table(location)
        except NotFound:
            raise ArchiveUnavailable(f"no table can be made at {location}") from error


def compact(location: str) -> Compacted:
    """Joins small files of a day into larger ones; rows stay as they are, and readers go on.

    Raises ArchiveConflict when another compaction was faster, NotFound, ArchiveUnavailable.
    """
    table = open_table(location)
    with translated(location):
        # One task at a time: it bounds memory, and there is no hurry.
        done = table.optimize.compact(max_concurrent_tasks=1, writer_properties=_WRITING)
    return Compacted(done["numFilesAdded"], done["numFilesRemoved"])


def vacuum(location: str, *, retention_hours: int) -> int:
    """Deletes files that no version younger than that needs, and returns how many.

    Among them what compaction replaced and what a writer left that died before its commit. A
    reader that holds an older version than that, or a commit that takes as long, would fail.
    """
    table = open_table(location)
    with translated(location):
        deleted = table.vacuum(
            retention_hours, dry_run=False, enforce_retention_duration=False, full=True
        )
    return len(deleted)


def count_files(location: str) -> int:
    """How many data files the table consists of now."""
    table = open_table(location)
    with translated(location):
        return len(table.file_uris())
