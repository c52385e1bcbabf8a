"""Many items in one request: JSON lines, a JSON array or CSV, written in batches.

Each line stands for itself: one that is refused is reported with its number and stops no other.
Lines become items in their order, so of two with one id the later one stands.
"""

import asyncio
import csv
import io
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final

import msgspec
from msgspec import Struct

from services.recommend.catalogue.inputs import change_from, item_from_cells, refuse_columns
from services.recommend.catalogue.kinds import ITEMS
from services.recommend.catalogue.repository import CatalogueRepository
from shared.catalogue import Change
from shared.errors import InvalidInput

BATCH: Final = 250
MOST_ERRORS: Final = 1_000
"""How many refused lines are told one by one; all of them are counted."""
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


class LineError(Struct):
    """A line that was refused: its number, from 1, and why."""

    line: int
    message: str


class BulkResult(Struct, kw_only=True):
    """How many lines were written and how many refused; `errors` lists the first 1,000."""

    accepted: int = 0
    rejected: int = 0
    errors: list[LineError] = []


async def write_bulk(
    file: IO[bytes], content_type: str, repository: CatalogueRepository, now: int
) -> BulkResult:
    """Write every good line of the file, in transactions of BATCH.

    Raises InvalidInput, with nothing written, where the lines cannot be told apart; and
    DatabaseUnavailable, after which the whole may be sent again: the same lines change nothing.
    """
    result = BulkResult(errors=[])
    batch: list[Change] = []
    for line, outcome in _outcomes(file, content_type, now):
        if isinstance(outcome, InvalidInput):
            result.rejected += 1
            if len(result.errors) < MOST_ERRORS:
                result.errors.append(LineError(line, str(outcome)))
        else:
            result.accepted += 1
            batch.append(outcome)
        if len(batch) == BATCH:
            await repository.put(batch)
            batch = []
        elif line % BATCH == 0:
            await asyncio.sleep(0)  # many refused lines must not hold up other requests
    await repository.put(batch)
    return result


def _outcomes(
    file: IO[bytes], content_type: str, now: int
) -> Iterator[tuple[int, Change | InvalidInput]]:
    match _format(file, content_type):
        case "csv":
            lines: Iterable[tuple[int, Any]] = _cells(file)
        case "array":
            lines = enumerate(_elements(file), 1)
        case _:
            lines = enumerate(file, 1)
    for line, raw in lines:
        try:
            if isinstance(raw, dict):
                yield line, item_from_cells(raw, now=now)
            elif isinstance(raw, InvalidInput):
                yield line, raw
            elif raw.strip():
                yield line, change_from(ITEMS, _decoded(raw), now=now)
        except InvalidInput as error:
            yield line, error


def _format(file: IO[bytes], content_type: str) -> str:
    """csv, array or lines: by the content type, else by the first character."""
    if file.read(3) != _BYTE_ORDER_MARK:
        file.seek(0)
    start = file.tell()
    head = file.read(1024).lstrip()
    file.seek(start)
    kind = content_type.partition(";")[0].strip().lower()
    if not head:
        raise InvalidInput("the body is empty")
    if kind == "text/csv" or (not kind.endswith("json") and head[:1] not in b"[{"):
        return "csv"
    return "array" if head.startswith(b"[") else "lines"


def _decoded(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InvalidInput(f"malformed JSON: {error}") from None
    except RecursionError:
        raise InvalidInput("malformed JSON: nested too deeply") from None


def _elements(file: IO[bytes]) -> list[bytes]:
    try:
        raws = msgspec.json.decode(file.read(), type=list[msgspec.Raw])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidInput(f"malformed JSON: {error}") from None
    return [bytes(raw) for raw in raws]


def _cells(file: IO[bytes]) -> Iterator[tuple[int, dict[str, str] | InvalidInput]]:
    """Rows of CSV by column, with the number of the line each ends on."""
    # What is no UTF-8 becomes lone surrogates, which only the row that has them is refused for.
    text = io.TextIOWrapper(file, "utf-8", errors="surrogateescape", newline="")
    reader = csv.reader(text)
    try:
        names = [name.strip() for name in next(reader)]
        refuse_columns(names)
        while True:
            try:
                row = next(reader)
            except csv.Error as error:
                yield reader.line_num, InvalidInput(f"malformed CSV: {error}")
                continue
            except StopIteration:
                return
            if row:
                yield reader.line_num, _named(names, row)
    except csv.Error as error:
        raise InvalidInput(f"malformed CSV: {error}") from None
    finally:
        text.detach()


def _named(names: list[str], row: list[str]) -> dict[str, str] | InvalidInput:
    if len(row) != len(names):
        return InvalidInput(f"{len(row)} cells, where the header has {len(names)}")
    if any("\udc80" <= character <= "\udcff" for cell in row for character in cell):
        return InvalidInput("not UTF-8")
    return dict(zip(names, row, strict=True))
