"""Rows become facts: each on its own, or the rows of one order together. Pure.

The facts come in the order of their last rows, whatever `limit` is: so the facts of a limited or
cut-off import are the first ones of the whole import, and a row's number says how far it got.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from services.ingest.imports.mapping import Mapping
from services.ingest.imports.records import Row
from services.ingest.imports.row import Excluded, Fields, RowReader, Taken
from shared.events import Line

CUT_BY_LIMIT: Final = "cut_by_limit"
"""Rows of an order that goes on behind --limit: it is imported whole or not at all."""
REOPENED: Final = "order_reopened"
"""Rows of an order that come more than `within` rows after its others: it is closed by then."""

Noticed: TypeAlias = Callable[[Taken], None]
"""Told of each row that becomes part of a fact."""
Reading: TypeAlias = Callable[[Row], Taken | Excluded]

_LINE_FIELDS: Final = Line.__struct_fields__


@dataclass(slots=True)
class Tally:
    """How the rows of a file divide: rows = rows_in_facts + all excluded, once all is read."""

    rows: int = 0
    rows_in_facts: int = 0
    excluded: Counter[str] = field(default_factory=Counter)
    facts: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Entry:
    """One fact to be: its kind, what names it in the file, its first row's fields, its lines.

    rows: how many it is made of; last_row (from 1) and position (bytes, decompressed): where in
    the file it is whole.
    """

    kind: str
    name: str
    fields: Fields
    lines: list[Fields]
    rows: int
    last_row: int
    position: int


def assemble(
    rows: Iterable[Row],
    mapping: Mapping,
    tally: Tally,
    limit: int | None = None,
    noticed: Noticed = lambda _taken: None,
) -> Iterator[Entry]:
    """The facts of the first `limit` rows, or of all; `tally` counts along."""
    reader = RowReader(mapping)

    def read(row: Row) -> Taken | Excluded:
        return reader.read(row.cells) if row.problem is None else Excluded(row.problem)

    if mapping.group_by is None:
        return _singly(rows, read, tally, limit, noticed)
    return _grouped(rows, read, mapping, tally, limit, noticed)


def _singly(
    rows: Iterable[Row], read: Reading, tally: Tally, limit: int | None, noticed: Noticed
) -> Iterator[Entry]:
    for row in rows:
        if limit is not None and row.number > limit:
            return
        tally.rows += 1
        result = read(row)
        if isinstance(result, Excluded):
            tally.excluded[result.reason] += 1
            continue
        noticed(result)
        yield _closed(_opened(result, f"row-{row.number}", row), tally)


def _grouped(
    rows: Iterable[Row],
    read: Reading,
    mapping: Mapping,
    tally: Tally,
    limit: int | None,
    noticed: Noticed,
) -> Iterator[Entry]:
    """`pending` is ordered by last row, so those that can be closed are at its front."""
    pending: OrderedDict[tuple[str, str], Entry] = OrderedDict()
    done: set[tuple[str, str]] = set()
    for row in rows:
        behind = limit is not None and row.number > limit
        if behind and not pending:
            break
        yield from _settled(pending, done, tally, row.number - mapping.within)
        result = read(row)
        if behind:
            _cut(pending, result, mapping, tally)
            continue
        tally.rows += 1
        if isinstance(result, Excluded):
            tally.excluded[result.reason] += 1
            continue
        key = _key(result, mapping)
        if not key[1]:
            tally.excluded[f"missing_{mapping.group_by}"] += 1
            continue
        if key in done:
            tally.excluded[REOPENED] += 1
            continue
        noticed(result)
        if key in pending:
            _extend(pending[key], result, row)
            pending.move_to_end(key)
        else:
            pending[key] = _opened(result, key[1], row)
    yield from _settled(pending, done, tally, None)


def _key(result: Taken, mapping: Mapping) -> tuple[str, str]:
    """What rows of one fact share: its kind, and the value that they are grouped by."""
    return result.kind, str(result.fields.get(mapping.group_by or "", ""))


def _settled(
    pending: OrderedDict[tuple[str, str], Entry],
    done: set[tuple[str, str]],
    tally: Tally,
    before: int | None,
) -> Iterator[Entry]:
    while pending:
        key, entry = next(iter(pending.items()))
        if before is not None and entry.last_row >= before:
            return
        del pending[key]
        done.add(key)
        yield _closed(entry, tally)


def _cut(
    pending: OrderedDict[tuple[str, str], Entry],
    result: Taken | Excluded,
    mapping: Mapping,
    tally: Tally,
) -> None:
    """A row behind the limit: the order it belongs to is not whole in front of it."""
    if isinstance(result, Excluded):
        return
    entry = pending.pop(_key(result, mapping), None)
    if entry is not None:
        tally.excluded[CUT_BY_LIMIT] += entry.rows


def _opened(result: Taken, name: str, row: Row) -> Entry:
    fields = result.fields
    return Entry(result.kind, name, fields, [_line(fields)], 1, row.number, row.position)


def _extend(entry: Entry, result: Taken, row: Row) -> None:
    entry.lines.append(_line(result.fields))
    entry.rows += 1
    entry.last_row, entry.position = row.number, row.position


def _line(fields: Fields) -> Fields:
    return {name: fields[name] for name in _LINE_FIELDS if name in fields}


def _closed(entry: Entry, tally: Tally) -> Entry:
    tally.rows_in_facts += entry.rows
    tally.facts[entry.kind] += 1
    return entry
