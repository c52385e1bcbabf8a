"""What goes down to the log for each fact of a file: a raw record like those of live events. Pure.

A mapped fact is a native event whose id is made of the file's digest and its name in the file, so
sending it twice is sending it once. A Segment message goes down as it stands in the file.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from services.ingest.imports.orders import Entry, Tally
from services.ingest.imports.records import Row
from services.ingest.normalise import MAX_BYTES, keys_of, normalise, raw_topic_of
from services.ingest.normalise import outline as read_outline
from shared.errors import EventRefused
from shared.events import FACT_TYPES, IMPORTED, Line, anonymous_key, customer_key, fact_type
from shared.headers import AT, FORMAT, RECEIVED_AT, SOURCE, Headers
from shared.topics import CLICKSTREAM, PURCHASES, Topic

TOO_LARGE: Final = "too_large"
"""Rows of an event beyond what its raw topic takes."""
REFUSED: Final = "dead_lettered"
"""Lines of a Segment export that ingest will refuse; they are sent, and kept as dead letters."""

_FIELDS: Final = {name: frozenset(kind.__struct_fields__) for name, kind in FACT_TYPES.items()}
_LINE_FIELDS: Final = frozenset(Line.__struct_fields__)
_LONGEST_ID: Final = 128
_encode: Final = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record for a raw topic, and where the file is once it is acknowledged.

    last_row: from 1; position: bytes, decompressed.
    """

    topic: Topic
    key: bytes | None
    value: bytes
    last_row: int
    position: int


def mapped(entries: Iterable[Entry], digest: str, tally: Tally) -> Iterator[RawRecord]:
    """A record for each fact of a mapped file; `digest` is the file's."""
    for entry in entries:
        event = native_event(entry, digest)
        value = _encode(event)
        topic = raw_topic_of(entry.kind)
        if len(value) > MAX_BYTES[topic.name]:
            tally.rows_in_facts -= entry.rows
            tally.facts[entry.kind] -= 1
            tally.excluded[TOO_LARGE] += entry.rows
            continue
        customer = event.get("customer")
        key = customer_key(customer) if customer else anonymous_key(event["anonymous"])
        yield RawRecord(topic, key.encode(), value, entry.last_row, entry.position)


def native_event(entry: Entry, digest: str) -> dict[str, Any]:
    """The event in Attune's own format. An order's `total` is the sum of its lines."""
    known = _FIELDS[entry.kind]
    fields: dict[str, Any] = {
        name: value for name, value in entry.fields.items() if name in known and name not in _FIRST
    }
    if "lines" in known:
        fields["lines"] = entry.lines
        if "total" in known and "total" not in fields:
            fields["total"] = sum(
                int(line["price"]) * int(line.get("quantity", 1)) for line in entry.lines
            )
    if "price" not in fields and "total" not in fields:
        fields.pop("currency", None)
    return {"type": entry.kind, "event_id": event_id(entry, digest), **fields}


_FIRST: Final = frozenset({"event_id"})


def event_id(entry: Entry, digest: str) -> str:
    """The file's own id where a column gives one, else digest, kind and name in the file."""
    stated = entry.fields.get("event_id")
    if stated is not None:
        return str(stated)
    made = f"{digest[:32]}:{entry.kind}:{entry.name}"
    if len(made) <= _LONGEST_ID:
        return made
    return f"{digest[:32]}:{entry.kind}:{hashlib.sha256(entry.name.encode()).hexdigest()[:32]}"


def passed_through(
    rows: Iterable[Row], tally: Tally, limit: int | None, received_at: int
) -> Iterator[RawRecord]:
    """Each line of a Segment export; ingest's own reading of it says its type and its key."""
    headers: Headers = ((FORMAT, b"segment"), (SOURCE, IMPORTED.encode() + b"segment"))
    for row in rows:
        if limit is not None and row.number > limit:
            return
        tally.rows += 1
        topic, key, kind = _outline(row.raw, headers, received_at)
        if len(row.raw) > MAX_BYTES[topic.name]:
            tally.excluded[TOO_LARGE] += 1
            continue
        if kind is None:
            tally.excluded[REFUSED] += 1
        else:
            tally.rows_in_facts += 1
            tally.facts[kind] += 1
        yield RawRecord(topic, key, row.raw, row.number, row.position)


def _outline(
    raw: bytes, headers: Headers, received_at: int
) -> tuple[Topic, bytes | None, str | None]:
    try:
        fact = normalise(raw, headers, received_at=received_at, max_bytes=MAX_BYTES[PURCHASES.name])
    except EventRefused:
        kind = read_outline(raw, headers).kind
        return CLICKSTREAM if kind is None else raw_topic_of(kind), None, None
    kind = fact_type(fact)
    return raw_topic_of(kind), keys_of(fact)[0].encode(), kind


def headers(form: str, source: str, *, received_at: int, at: int) -> Headers:
    """Headers of an imported record. received_at: business epoch ms; at: real epoch ms."""
    return (
        (FORMAT, form.encode()),
        (SOURCE, (IMPORTED + source).encode()),
        (RECEIVED_AT, b"%d" % received_at),
        (AT, b"%d" % at),
    )
