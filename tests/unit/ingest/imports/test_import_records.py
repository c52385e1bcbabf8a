"""Files as they come: plain or gzip, whole or broken. What is broken is refused up front."""

import gzip
from pathlib import Path

import pytest

from services.ingest.imports.mapping import Mapping, parse
from services.ingest.imports.records import LONGEST_LINE, Row, open_file, read_rows
from shared.errors import InvalidInput

TEXT = 'who,at,q\nc1,1,mug\nc2,2,"a, b\nc"\n\nc3,3,jug\n'


def mapping(extra: str = "format: csv") -> Mapping:
    text = f"""
{extra}
columns:
  customer: {{column: who}}
  occurred_at: {{column: at, type: time, format: epoch_ms}}
  query: {{column: q}}
facts: [{{type: searched}}]
"""
    return parse(text.encode(), "m")


def read(path: Path, made: Mapping | None = None) -> list[Row]:
    made = made or mapping()
    return list(read_rows(open_file(path, made), made))


def written(tmp_path: Path, data: bytes | str, name: str = "export.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def test_rows_have_numbers_and_ends(tmp_path: Path) -> None:
    rows = read(written(tmp_path, TEXT))
    assert [row.cells["q"] for row in rows] == ["mug", "a, b\nc", "jug"]
    assert [row.number for row in rows] == [1, 2, 3]
    assert rows[-1].position == len(TEXT)


def test_gzip_and_plain_are_the_same_export(tmp_path: Path) -> None:
    plain = written(tmp_path, TEXT)
    packed = written(tmp_path, gzip.compress(TEXT.encode()), "export.csv.gz")
    assert open_file(plain, mapping()).digest == open_file(packed, mapping()).digest
    assert read(plain) == read(packed)


def test_byte_order_mark_delimiter_and_encoding(tmp_path: Path) -> None:
    data = "who;at;q\nc1;1;Müsli\n"
    marked = written(tmp_path, b"\xef\xbb\xbf" + data.encode())
    assert read(marked, mapping("format: csv\ndelimiter: ';'"))[0].cells["q"] == "Müsli"
    latin = written(tmp_path, data.encode("latin-1"), "latin.csv")
    other = mapping("format: csv\ndelimiter: ';'\nencoding: latin-1")
    assert read(latin, other)[0].cells["q"] == "Müsli"


def test_rows_of_another_width_are_malformed(tmp_path: Path) -> None:
    rows = read(written(tmp_path, "who,at,q\nc1,1\nc1,1,mug\n"))
    assert [row.problem for row in rows] == ["malformed_row", None]


def test_json_lines_with_paths(tmp_path: Path) -> None:
    made = parse(
        b"format: jsonl\ncolumns:\n  customer: {column: user.id}\n"
        b"  occurred_at: {column: at, type: time}\n  query: {column: q}\nfacts: [{type: searched}]",
        "m",
    )
    data = '{"user": {"id": 7}, "at": 1, "q": "mug", "tags": [1]}\n\nnot json\n[1]\n'
    rows = read(written(tmp_path, data), made)
    assert rows[0].cells == {"user.id": 7, "at": 1, "q": "mug"}
    assert [row.problem for row in rows] == [None, "malformed_row", "malformed_row"]
    with pytest.raises(InvalidInput, match=r"no column q; its columns: user\.id, at"):
        read(written(tmp_path, '{"user": {"id": 7}, "at": 1}\n'), made)


@pytest.mark.parametrize("data", [TEXT.replace("who", "whom"), "who,at\n", "\n\n"])
def test_a_missing_column_is_named(tmp_path: Path, data: str) -> None:
    with pytest.raises(InvalidInput, match=r"export\.csv: no column .*; its columns: "):
        read(written(tmp_path, data))


def test_two_columns_of_one_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="two columns are named who"):
        read(written(tmp_path, "who,at,q,who\n"))


def test_a_gzip_that_was_cut_off(tmp_path: Path) -> None:
    packed = gzip.compress(TEXT.encode() * 100)
    with pytest.raises(InvalidInput, match=r"ends too early, it was cut off; nothing was imported"):
        read(written(tmp_path, packed[:-20]))


def test_a_gzip_that_was_damaged(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(TEXT.encode() * 100))
    packed[20:30] = b"\xff" * 10
    with pytest.raises(InvalidInput, match=r"not a valid gzip file|cut off"):
        read(written(tmp_path, bytes(packed)))


def test_bytes_of_another_encoding_are_told_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"not utf-8 near byte 10.*set the mapping's encoding"):
        read(written(tmp_path, b"who,at,q\nM\xfcsli,1,2\n"))


def test_a_character_cut_off_at_the_end(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="not utf-8"):
        read(written(tmp_path, TEXT.encode() + b"c4,4,\xc3"))


def test_an_empty_file(tmp_path: Path) -> None:
    for data in (b"", gzip.compress(b"")):
        with pytest.raises(InvalidInput, match=r"export\.csv: empty"):
            read(written(tmp_path, data))


def test_a_line_without_an_end(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="a line of more than"):
        read(written(tmp_path, TEXT + "x" * (LONGEST_LINE + 1)))


def test_a_quote_without_an_end(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"export\.csv: line \d+: "):
        read(written(tmp_path, TEXT + 'c4,4,"mug\n' + "c5,5,jug\n" * 20_000))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        read(tmp_path / "none.csv")
    with pytest.raises(InvalidInput, match="directory"):
        read(tmp_path)
