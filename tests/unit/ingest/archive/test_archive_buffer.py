"""What waits to be archived: in order, counted, and told where records are missing."""

import pytest

from services.ingest.archive.buffer import ROW_BYTES, Buffer
from shared.archive_rows import ArchivedRecord
from shared.errors import ArchiveMismatch


def some(partition: int, *offsets: int) -> list[ArchivedRecord]:
    return [
        ArchivedRecord("events", partition, offset, 1, b"key", b"value", ()) for offset in offsets
    ]


def test_rows_leave_by_partition_and_offset() -> None:
    buffer = Buffer("events")
    buffer.begin({0: 0, 1: 5})
    assert buffer.add(1, some(1, 5, 6), 10.0) is None
    assert buffer.add(0, some(0, 0), 11.0) is None
    assert buffer.add(1, some(1, 7), 12.0) is None
    assert buffer.waiting() == some(0, 0) + some(1, 5, 6, 7)
    assert (buffer.rows, buffer.size, buffer.since) == (4, 4 * (8 + ROW_BYTES), 10.0)
    assert (buffer.waiting_of(1), buffer.waiting_of(9)) == (3, 0)
    buffer.clear()
    assert (buffer.waiting(), buffer.rows, buffer.size) == ([], 0, 0)
    assert buffer.wanted == {0: 1, 1: 8}


def test_missing_records_are_told() -> None:
    buffer = Buffer("events")
    buffer.begin({0: 3})
    assert buffer.add(0, some(0, 10), 1.0) == (3, 10)
    assert buffer.wanted == {0: 11}


def test_a_log_that_went_back_is_refused() -> None:
    buffer = Buffer("events")
    buffer.begin({0: 3})
    with pytest.raises(ArchiveMismatch, match="archived up to offset 3 and the log gives 2"):
        buffer.add(0, some(0, 2), 1.0)
    assert buffer.rows == 0


def test_what_another_member_has_now_is_forgotten() -> None:
    buffer = Buffer("events")
    buffer.begin({0: 0, 1: 0})
    buffer.add(0, some(0, 0, 1), 1.0)
    buffer.add(1, some(1, 0), 1.0)
    buffer.forget([0, 7])
    assert buffer.waiting() == some(1, 0)
    assert (buffer.rows, buffer.size, buffer.wanted) == (1, 8 + ROW_BYTES, {1: 1})
