"""Files that evaluations read: marks and packing do not matter, and what is wrong is one line."""

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from services.recommend.evaluation.clicks import read_sessions
from services.recommend.evaluation.clv import read_orders
from services.recommend.evaluation.ranking_events import read_events
from services.recommend.evaluation.top_n_files import read_ratings
from shared.errors import InvalidInput

CLICKS = "SessionId\tItemId\tTime\n" + "".join(f"1\ti{n * n}\t{n}\n" for n in range(500))
RATINGS = "user\titem\trating\ttime\nu\ti\t5\t1\n"
ORDERS = "customer,time,amount\nc,5,1\n"
EVENTS = """{"event":"ranking","id":"r","timestamp":1,"items":[{"id":"a"}]}\n"""
FILES = [
    (read_sessions, CLICKS),
    (read_ratings, RATINGS),
    (read_orders, ORDERS),
    (read_events, EVENTS),
]


@pytest.mark.parametrize(("read", "text"), FILES)
def test_a_byte_order_mark_and_gzip_do_not_matter(
    read: Callable[[Path], object], text: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    for content in (text.encode(), text.encode("utf-8-sig"), gzip.compress(text.encode())):
        file.write_bytes(content)
        assert read(file)


@pytest.mark.parametrize(("read", "text"), FILES)
def test_files_that_cannot_be_read_are_said_in_a_line(
    read: Callable[[Path], object], text: str, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    with pytest.raises(InvalidInput, match=r"file: No such file or directory$"):
        read(file)
    file.write_bytes(b"")
    with pytest.raises(InvalidInput, match="the file is empty"):
        read(file)
    packed = gzip.compress(text.encode())
    middle = len(packed) // 2
    for broken in (packed[:middle], packed[:12] + b"\xff" * 30, packed[:-8] + b"12345678"):
        file.write_bytes(broken)
        with pytest.raises(InvalidInput, match="file"):
            read(file)
