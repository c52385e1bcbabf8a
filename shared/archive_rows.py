"""Between records of the log and rows of the archive: the tables' schema, and both directions.

A row gives its record back exactly: partition, offset, timestamp, key, value, headers. Key and
value stand as text, which analysts can read, where they are UTF-8, and as bytes beside it where
they are not; never as both.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, Final, NamedTuple, Protocol, cast

import numpy as np
from arro3.core import (
    Array,
    DataType,
    Field,
    RecordBatch,
    Schema,
    list_array,
    list_flatten,
    list_offsets,
    struct_array,
    struct_field,
)

from shared.archive_columns import COLUMNS, TEXT, read_message
from shared.headers import Headers
from shared.topics import DAY_MS

BINARY: Final = DataType.binary()
_HEADER: Final = (Field("name", TEXT), Field("value", BINARY))
HEADERS: Final = DataType.list(Field("element", DataType.struct(_HEADER)))
LAST_DAY: Final = 2_932_896
"""31 December 9999: a timestamp beyond it counts as that day, and is kept as it is."""

DAY: Final = "day"
"""UTC day on which the log took the record, by the record's timestamp. Rows of a day that is over
no longer change: what happened long before lies in the day on which it arrived."""

_RECORD: Final = (
    Field("log_partition", DataType.int32(), nullable=False),
    Field("log_offset", DataType.int64(), nullable=False),
    Field("log_time_ms", DataType.int64(), nullable=False),
    Field("key", TEXT),
    Field("key_bytes", BINARY),
    Field("value", TEXT),
    Field("value_bytes", BINARY),
    Field("headers", HEADERS),
)
RECORD_COLUMNS: Final = [field.name for field in _RECORD]


class ArchivedRecord(NamedTuple):
    """A record as it was read from the log (shared.bus.Record)."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class Recorded(Protocol):
    """What of a record is archived (shared.bus.Record)."""

    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def timestamp(self) -> int: ...


def schema_of(topic: str) -> Schema:
    """The table of a topic (its name in the registry)."""
    columns = (column.field for column in COLUMNS[topic])
    return Schema([Field(DAY, DataType.date32(), nullable=False), *_RECORD, *columns])


def to_batch(topic: str, records: Sequence[Recorded]) -> RecordBatch:
    """Rows of these records, in their order."""
    times = [record.timestamp for record in records]
    days = [min(max(time // DAY_MS, 0), LAST_DAY) for time in times]
    messages = [read_message(topic, record.value) for record in records]
    return RecordBatch.from_arrays(
        [
            Array(days, DataType.int32()).cast(DataType.date32()),
            Array([record.partition for record in records], DataType.int32()),
            Array([record.offset for record in records], DataType.int64()),
            Array(times, DataType.int64()),
            *_text_or_bytes([record.key for record in records]),
            *_text_or_bytes([record.value for record in records]),
            _headers_array([record.headers for record in records]),
            *(column.array(messages) for column in COLUMNS[topic]),
        ],
        schema=schema_of(topic),
    )


def _text_or_bytes(values: Sequence[bytes | None]) -> tuple[Array, Array]:
    texts: list[str | None] = []
    rest: list[bytes | None] = []
    for value in values:
        try:
            texts.append(None if value is None else value.decode())
            rest.append(None)
        except UnicodeDecodeError:
            texts.append(None)
            rest.append(value)
    return Array(texts, TEXT), Array(rest, BINARY)


def _headers_array(headers: Sequence[Headers]) -> Array:
    offsets = np.zeros(len(headers) + 1, np.int32)
    np.cumsum([len(of_record) for of_record in headers], out=offsets[1:])
    names = Array([name for of_record in headers for name, _ in of_record], TEXT)
    values = Array([value for of_record in headers for _, value in of_record], BINARY)
    pairs = struct_array([names, values], fields=_HEADER)
    return list_array(Array.from_numpy(offsets), pairs, type=HEADERS)


def from_batch(topic: str, batch: RecordBatch) -> Iterator[ArchivedRecord]:
    """The records of rows with RECORD_COLUMNS; `topic` is the name they are to carry."""
    columns = {name: batch.column(name) for name in RECORD_COLUMNS}
    listed = {name: _listed(column) for name, column in columns.items() if name != "headers"}
    return map(
        ArchivedRecord,
        [topic] * batch.num_rows,
        listed["log_partition"],
        listed["log_offset"],
        listed["log_time_ms"],
        _bytes_again(listed["key"], listed["key_bytes"]),
        _bytes_again(listed["value"], listed["value_bytes"]),
        _headers_again(columns["headers"]),
    )


def _bytes_again(
    texts: Sequence[str | None], rest: Sequence[bytes | None]
) -> Iterator[bytes | None]:
    for text, other in zip(texts, rest, strict=True):
        yield other if text is None else text.encode()


def _headers_again(column: Array) -> list[Headers]:
    pairs = list_flatten(column)
    whole = list(zip(_listed(struct_field(pairs, 0)), _listed(struct_field(pairs, 1)), strict=True))
    offsets = _listed(list_offsets(column))
    return [tuple(whole[begin:end]) for begin, end in pairwise(offsets)]


def _listed(array: Array) -> list[Any]:
    # arro3 declares an array and returns a list.
    return cast("list[Any]", array.to_pylist())
