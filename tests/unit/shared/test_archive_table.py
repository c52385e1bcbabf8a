"""The archive's tables in a folder: written once, compacted without a change, read in order."""

import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import DeltaTable

from shared.archive import WINDOW_BYTES, ArchiveReader
from shared.archive_rows import ArchivedRecord
from shared.archive_table import (
    ArchiveTable,
    compact,
    count_files,
    location_of,
    vacuum,
)
from shared.errors import (
    ArchiveConflict,
    ArchiveMismatch,
    ArchiveUnavailable,
    LogTruncated,
    NotFound,
)
from shared.settings import Settings
from shared.topics import EVENTS

DAY_MS = 86_400_000
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(archive=str(tmp_path / "archive"), namespace="shop")


@pytest.fixture
def location(settings: Settings) -> str:
    return location_of(settings, EVENTS)


def open_table(settings: Settings, incarnation: str = "first", partitions: int = 3) -> ArchiveTable:
    return ArchiveTable.open(settings, EVENTS, incarnation=incarnation, partitions=partitions)


def some(partition: int, offsets: Iterable[int]) -> list[ArchivedRecord]:
    """Records of a partition; each thousand offsets a day."""
    return [
        ArchivedRecord(
            topic="shop.events",
            partition=partition,
            offset=offset,
            timestamp=(19_000 + offset // 1_000) * DAY_MS + offset,
            key=b"c:%d" % offset,
            value=b"\xff" if offset % 7 == 0 else b'{"n": %d}' % offset,
            headers=(("src", b"clickstream/0/%d" % offset),),
        )
        for offset in offsets
    ]


def everything(settings: Settings) -> list[ArchivedRecord]:
    reader = ArchiveReader.open(settings, EVENTS)
    return [r for n in reader.ends() for found in reader.records(n, complete=False) for r in found]


def test_what_is_appended_is_read_in_order(settings: Settings, location: str) -> None:
    table = open_table(settings)
    table.append(some(0, range(500)) + some(2, range(10)))
    table.append(some(2, range(10, 2_500)))
    assert location.endswith("/archive/shop.events")
    assert table.ends() == {0: 500, 1: 0, 2: 2_500}
    reader = ArchiveReader.open(settings, EVENTS)
    assert (reader.ends(), reader.incarnation) == (table.ends(), "first")
    assert everything(settings) == some(0, range(500)) + some(2, range(2_500))
    later = [record for found in reader.records(2, 2_400) for record in found]
    assert later == some(2, range(2_400, 2_500))
    assert list(reader.records(1)) == []
    assert list(reader.records(9)) == []
    days = {uri.split("day=")[1][:10] for uri in DeltaTable(location).file_uris()}
    assert days == {"2022-01-08", "2022-01-09", "2022-01-10"}


def test_no_archive_yet_is_not_found(settings: Settings) -> None:
    with pytest.raises(NotFound, match="attune archive"):
        ArchiveReader.open(settings, EVENTS)


def test_a_store_that_does_not_answer_is_unavailable(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArchiveUnavailable):
        open_table(replace(settings, archive=str(tmp_path / "file")))


def test_a_writer_that_looked_before_another_wrote_is_refused(settings: Settings) -> None:
    first, zombie = open_table(settings), open_table(settings)
    first.append(some(0, range(10)))
    for _ in range(2):  # its failed try has taught it nothing
        with pytest.raises(ArchiveConflict):
            zombie.append(some(0, range(12)))
    zombie.refresh()
    with pytest.raises(ArchiveConflict):
        zombie.append(some(0, range(9, 12)))
    zombie.append(some(0, range(10, 12)))
    assert everything(settings) == some(0, range(12))


def test_writers_of_different_partitions_do_not_disturb_each_other(settings: Settings) -> None:
    first, second = open_table(settings), open_table(settings)
    for offset in range(5):
        first.append(some(0, [offset]))
        second.append(some(1, [offset]))
    assert everything(settings) == some(0, range(5)) + some(1, range(5))


RACE = """
import sys
from shared.archive_table import ArchiveTable
from shared.errors import ArchiveConflict
from shared.settings import Settings
from shared.topics import EVENTS
from tests.unit.shared.test_archive_table import open_table, some
table = open_table(Settings(archive=sys.argv[1], namespace="shop"))
print("ready", flush=True)
wrote = 0
for line in sys.stdin:
    try:
        begin = table.ends()[0]
        table.append(some(0, range(begin, begin + 100)))
        wrote += 1
    except ArchiveConflict:
        table.refresh()
    print(wrote, flush=True)
"""


def test_of_two_processes_at_once_one_wins_each_time(settings: Settings) -> None:
    racers = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, settings.archive],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        for _ in range(2)
    ]
    try:
        answers = [answers_of(racer) for racer in racers]
        assert [next(answer) for answer in answers] == ["ready", "ready"]
        wrote = 0
        for _ in range(15):
            for racer in racers:
                assert racer.stdin is not None
                racer.stdin.write("go\n")
                racer.stdin.flush()
            wrote = sum(int(next(answer)) for answer in answers)
    finally:
        for racer in racers:
            racer.communicate(timeout=30)
    assert 15 <= wrote < 30, "both wrote each time, or neither"
    assert everything(settings) == some(0, range(100 * wrote))


def answers_of(racer: "subprocess.Popen[str]") -> Iterator[str]:
    assert racer.stdout is not None
    return (line.strip() for line in racer.stdout)


def test_a_topic_made_anew_is_refused(settings: Settings) -> None:
    open_table(settings).append(some(0, range(3)))
    with pytest.raises(ArchiveMismatch, match="made anew"):
        open_table(settings, "second")
    assert everything(settings) == some(0, range(3))


def test_partitions_may_be_added(settings: Settings) -> None:
    open_table(settings, partitions=2).append(some(1, range(3)))
    table = open_table(settings, partitions=4)
    table.append(some(3, range(2)))
    assert ArchiveReader.open(settings, EVENTS).ends() == {0: 0, 1: 3, 2: 0, 3: 2}


def test_ends_outlive_checkpoints_and_old_commits(settings: Settings, location: str) -> None:
    table = open_table(settings)
    table.append(some(1, range(3)))
    DeltaTable(location).create_checkpoint()
    for commit in (Path(location) / "_delta_log").glob("*.json"):
        commit.unlink()
    assert open_table(settings).ends() == {0: 0, 1: 3, 2: 0}


def test_compaction_changes_no_row_and_no_reader(settings: Settings, location: str) -> None:
    table = open_table(settings)
    for begin in range(0, 1_200, 100):
        table.append(some(0, range(begin, begin + 100)) + some(1, range(begin, begin + 50)))
    # Two readers: one opened before, in the middle of its work; one opened after.
    reader = ArchiveReader.open(settings, EVENTS)
    reading = reader.records(0)
    begun = list(next(reading))
    before = [r for n in (0, 1) for found in reader.records(n, complete=False) for r in found]
    assert len(before) == 1_200 + 600
    done = compact(location)
    assert (done.files_removed, done.files_added) == (12, 2)
    assert count_files(location) == 2
    table.append(some(0, range(1_200, 1_210)))  # its look is from before the compaction
    assert vacuum(location, retention_hours=24) == 0
    begun += [record for found in reading for record in found]
    assert begun == some(0, range(1_200))
    after = ArchiveReader.open(settings, EVENTS)
    rows = [r for n in (0, 1) for found in after.records(n, complete=False) for r in found]
    assert rows == some(0, range(1_210)) + before[1_200:]
    assert compact(location).files_removed in {0, 2}
    assert vacuum(location, retention_hours=0) >= 12
    assert everything(settings)[:1_210] == some(0, range(1_210))
    with pytest.raises(ArchiveUnavailable):  # its files are gone, and it says so
        list(reader.records(0))


def test_what_a_dead_writer_left_is_cleaned_up(settings: Settings, location: str) -> None:
    table, zombie = open_table(settings), open_table(settings)
    table.append(some(0, range(3)))
    with pytest.raises(ArchiveConflict):
        zombie.append(some(0, range(3)))
    assert len(list(Path(location).glob("day=*/*.parquet"))) == 2
    assert vacuum(location, retention_hours=0) == 1
    assert everything(settings) == some(0, range(3))


def test_missing_records_are_told_or_passed_over(settings: Settings) -> None:
    table = open_table(settings)
    table.append(some(0, range(1_000_000, 1_000_010)))
    table.append(some(0, range(1_000_012, 1_000_020)))
    reader = ArchiveReader.open(settings, EVENTS)
    with pytest.raises(LogTruncated, match=r"shop.events/0 between offsets 0 and"):
        list(reader.records(0))
    with pytest.raises(LogTruncated, match=r"lacks 2 records .* 1000010 and 1000011"):
        list(reader.records(0, 1_000_005))
    found = [record.offset for some in reader.records(0, complete=False) for record in some]
    assert found == [*range(1_000_000, 1_000_010), *range(1_000_012, 1_000_020)]


def test_an_independent_reader_sees_the_rows(settings: Settings, location: str) -> None:
    open_table(settings).append(some(0, range(20)))
    table = DeltaTable(location)
    seen = sorted(
        (offset, text)
        for batch in table.scan(columns=["log_offset", "value"], predicate="value IS NOT NULL")
        for offset, text in zip(
            batch.column("log_offset").to_pylist(), batch.column("value").to_pylist(), strict=True
        )
    )
    assert seen == [(n, f'{{"n": {n}}}') for n in range(20) if n % 7]


def test_large_records_are_read_a_few_at_a_time(settings: Settings) -> None:
    table = open_table(settings)
    large = [record._replace(value=b"v" * 60_000) for record in some(0, range(800))]
    for begin in range(0, 800, 200):
        table.append(large[begin : begin + 200])
    lists = list(ArchiveReader.open(settings, EVENTS).records(0))
    assert [record for found in lists for record in found] == large
    assert max(len(found) for found in lists) * 60_000 <= 2 * WINDOW_BYTES
