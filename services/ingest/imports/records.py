"""The rows of a file, plain or gzip, CSV or JSON lines, with their numbers and places.

`open_file` reads the file once from end to end before anything is sent: what is broken (a gzip cut
off, bytes that are not of the encoding, a line without an end) is refused while nothing has
happened yet. The digest is of the decompressed bytes: the same export, packed anew, is the same.
"""

import codecs
import csv
import gzip
import hashlib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

import msgspec

from services.ingest.imports.mapping import Mapping
from services.ingest.imports.row import check_columns
from shared.errors import InvalidInput

LONGEST_LINE: Final = 4 * 1024 * 1024
"""Longest line that is read, bytes; a longer one is taken for a file of another kind."""
MALFORMED: Final = "malformed_row"
"""Reason for rows that are no JSON object, or have more or fewer cells than the header."""
SAMPLE: Final = 100
"""JSON lines that are looked at to know which columns a file has."""
_CHUNK: Final = 1024 * 1024
_GZIP: Final = b"\x1f\x8b"
_BOM: Final = b"\xef\xbb\xbf"
Stream: TypeAlias = BinaryIO | gzip.GzipFile


class Row(msgspec.Struct, frozen=True):
    """number: from 1, header and blank lines not counted; position: of its end, in bytes.

    problem: why it has no cells. raw: the line itself, for JSON lines.
    """

    number: int
    position: int
    cells: dict[str, Any]
    raw: bytes = b""
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """A file that was read once and found whole. digest: SHA-256 of its decompressed bytes."""

    path: Path
    digest: str
    size: int


def open_file(path: Path, mapping: Mapping) -> Export:
    """Checks the whole file. Raises InvalidInput with what is wrong, and where."""
    digest, size, longest = hashlib.sha256(), 0, 0
    decoder = codecs.getincrementaldecoder(mapping.encoding)()
    with _reading(path) as stream:
        for chunk in iter(partial(stream.read, _CHUNK), b""):
            longest = _longest_line(chunk, longest, path)
            _decode(decoder, chunk, size, path, mapping)
            digest.update(chunk)
            size += len(chunk)
    _decode(decoder, b"", size, path, mapping)
    if size == 0:
        raise InvalidInput(f"{path}: empty")
    return Export(path, digest.hexdigest(), size)


def read_rows(export: Export, mapping: Mapping) -> Iterator[Row]:
    """The rows in their order. Raises InvalidInput: a missing column, CSV that does not parse."""
    if mapping.format == "csv":
        return _csv_rows(export, mapping)
    if mapping.records == "mapped":
        check_columns(mapping, _sampled_columns(export), str(export.path))
    return _json_rows(export, mapping)


def _decode(
    decoder: codecs.IncrementalDecoder, chunk: bytes, size: int, path: Path, mapping: Mapping
) -> None:
    """An empty chunk is the end: a character that is still open there was cut off."""
    try:
        decoder.decode(chunk, final=not chunk)
    except UnicodeDecodeError as error:
        message = f"{path}: not {mapping.encoding} near byte {size + error.start}"
        raise InvalidInput(f"{message}; set the mapping's encoding") from None


def _longest_line(chunk: bytes, open_line: int, path: Path) -> int:
    """Length of the line that is open at the end of the chunk."""
    first = chunk.find(b"\n")
    if open_line + (first if first >= 0 else len(chunk)) > LONGEST_LINE:
        raise InvalidInput(f"{path}: a line of more than {LONGEST_LINE} bytes")
    return open_line + len(chunk) if first < 0 else len(chunk) - chunk.rfind(b"\n") - 1


@contextmanager
def _reading(path: Path) -> Iterator[Stream]:
    try:
        with path.open("rb") as plain:
            packed = plain.read(2) == _GZIP
            plain.seek(0)
            if not packed:
                yield plain
                return
            with gzip.open(plain) as unpacked:
                yield unpacked
    except EOFError:
        message = f"{path}: the gzip file ends too early, it was cut off; nothing was imported"
        raise InvalidInput(message) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InvalidInput(f"{path}: not a valid gzip file: {error}") from None
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from None


class _Lines:
    """Lines as text, counting bytes; the byte order mark is no part of the first."""

    def __init__(self, stream: Stream, encoding: str) -> None:
        self._stream = stream
        self._encoding = encoding
        self.position = 0

    def __iter__(self) -> Iterator[str]:
        for line in self._stream:
            text = line[3:] if self.position == 0 and line.startswith(_BOM) else line
            self.position += len(line)
            yield text.decode(self._encoding)


def _csv_rows(export: Export, mapping: Mapping) -> Iterator[Row]:
    with _reading(export.path) as stream:
        lines = _Lines(stream, mapping.encoding)
        reader = csv.reader(iter(lines), delimiter=mapping.delimiter, strict=True)
        try:
            header = [name.strip() for name in next(reader, [])]
            _check_header(header, mapping, export.path)
            number, width = 0, len(header)
            for cells in reader:
                if not cells:
                    continue
                number += 1
                if len(cells) == width:
                    yield Row(number, lines.position, dict(zip(header, cells, strict=True)))
                else:
                    yield Row(number, lines.position, {}, problem=MALFORMED)
        except csv.Error as error:
            raise InvalidInput(f"{export.path}: line {reader.line_num}: {error}") from None


def _check_header(header: list[str], mapping: Mapping, path: Path) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InvalidInput(f"{path}: two columns are named {', '.join(twice)}")
    check_columns(mapping, header, str(path))


def _json_rows(export: Export, mapping: Mapping) -> Iterator[Row]:
    decode = msgspec.json.Decoder().decode
    number = position = 0
    utf8 = codecs.lookup(mapping.encoding).name == "utf-8"
    with _reading(export.path) as stream:
        for line in stream:
            raw = line[3:] if position == 0 and line.startswith(_BOM) else line
            position += len(line)
            raw = (raw if utf8 else raw.decode(mapping.encoding).encode()).strip()
            if not raw:
                continue
            number += 1
            if mapping.records == "segment":
                yield Row(number, position, {}, raw=raw)
                continue
            try:
                value = decode(raw)
            except (msgspec.DecodeError, RecursionError):
                value = None
            if isinstance(value, dict):
                yield Row(number, position, flattened(value), raw=raw)
            else:
                yield Row(number, position, {}, raw=raw, problem=MALFORMED)


def _sampled_columns(export: Export) -> list[str]:
    names: dict[str, None] = {}
    mapping = Mapping(format="jsonl")
    for row in _json_rows(export, mapping):
        names.update(dict.fromkeys(row.cells))
        if row.number == SAMPLE:
            break
    return list(names)


def flattened(value: dict[str, Any], prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """Nested objects as `outer.inner` names; lists are no cells and are left out."""
    cells: dict[str, Any] = {}
    for name, entry in value.items():
        if isinstance(entry, dict):
            if depth < 8:
                cells.update(flattened(entry, f"{prefix}{name}.", depth + 1))
        elif not isinstance(entry, list):
            cells[prefix + name] = entry
    return cells
