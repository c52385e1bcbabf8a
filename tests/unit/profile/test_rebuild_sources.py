"""From where a rebuild reads: never over a gap."""

from pathlib import Path

import pytest

from services.profile.rebuild.filling import Part
from services.profile.rebuild.sources import archived_ends, plan
from shared.bus_offsets import Bounds, Commit
from shared.errors import LogTruncated, NotFound
from shared.settings import Settings

WHOLE = {0: Bounds(0, 10), 1: Bounds(0, 30)}


def test_the_largest_partition_goes_first_and_nothing_is_published_beyond_the_end() -> None:
    commits = {0: Commit(8, "g1"), 1: Commit(99, "g1")}
    assert plan(WHOLE, {}, commits) == [Part(1, 0, 30, 30), Part(0, 0, 10, 8)]


def test_the_archive_is_read_up_to_its_end_and_the_log_after_it() -> None:
    assert plan({0: Bounds(4, 10)}, {0: 6}, {}) == [Part(0, 6, 10, 0)]
    assert plan({0: Bounds(4, 10)}, {0: 50}, {}) == [Part(0, 10, 10, 0)]


@pytest.mark.parametrize("archived", [{}, {0: 3}, {1: 9}])
def test_a_gap_is_refused(archived: dict[int, int]) -> None:
    with pytest.raises(LogTruncated, match="are in neither"):
        plan({0: Bounds(4, 10)}, archived, {})


def test_a_log_whose_start_is_gone_needs_an_archive(tmp_path: Path) -> None:
    settings = Settings(archive=str(tmp_path))
    assert archived_ends(settings, "auto", "topic-1", WHOLE) == {}
    cut = {0: Bounds(4, 10)}
    assert archived_ends(settings, "log", "topic-1", cut) == {}
    with pytest.raises(LogTruncated, match="attune archive"):
        archived_ends(settings, "auto", "topic-1", cut)
    with pytest.raises(NotFound):
        archived_ends(settings, "archive", "topic-1", WHOLE)
