"""A file of an export as the source of training: the same mappings as `attune import`.

Beside rows.py. Nothing is sent anywhere: the facts that the import would send are read at once.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from services.ingest.imports import raw
from services.ingest.imports.items import SeenItems
from services.ingest.imports.mapping import load
from services.ingest.imports.orders import Tally, assemble
from services.ingest.imports.records import read_rows
from services.ingest.imports.run import Plan, prepare
from services.ingest.normalise import MAX_BYTES, normalise
from services.recommend.training.building import HistoryBuilder
from shared.errors import EventRefused, InvalidInput
from shared.events import encode, identity_key

Moved = Callable[[int], object]
"""Told the byte of the decompressed file that reading has got to."""
TOLD_EVERY: Final = 1_000


def prepared(path: Path, mapping_name: str) -> Plan:
    """What to read, and how. Raises InvalidInput where file or mapping are at fault."""
    name, mapping = load(mapping_name)
    return prepare(path, name, mapping)


def read_file(
    plan: Plan, builder: HistoryBuilder, now_ms: int, moved: Moved = lambda _byte: None
) -> Tally:
    """Take in all facts of the file, and what it tells about items. Raises InvalidInput."""
    tally, seen = Tally(), SeenItems(plan.mapping.currency)
    for count, record in enumerate(_records(plan, tally, seen, now_ms)):
        _take(record, plan, builder, now_ms)
        if count % TOLD_EVERY == 0:
            moved(record.position)
    moved(plan.export.size)
    if not builder.facts:
        why = ", ".join(f"{name} {count:,}" for name, count in tally.excluded.most_common(3))
        raise InvalidInput(f"{plan.export.path}: no row became a fact ({why or 'it has none'})")
    for change in seen.changes(frozenset(), now_ms):
        builder.catalogue[change.item] = change
    return tally


def _records(plan: Plan, tally: Tally, seen: SeenItems, now_ms: int) -> Iterator[raw.RawRecord]:
    rows = read_rows(plan.export, plan.mapping)
    if plan.mapping.records == "segment":
        return raw.passed_through(rows, tally, None, now_ms)
    entries = assemble(rows, plan.mapping, tally, None, seen.notice)
    return raw.mapped(entries, plan.export.digest, tally)


def _take(record: raw.RawRecord, plan: Plan, builder: HistoryBuilder, now_ms: int) -> None:
    form = "segment" if plan.mapping.records == "segment" else "native"
    headers = raw.headers(form, plan.name, received_at=now_ms, at=now_ms)
    largest = MAX_BYTES[record.topic.name]
    with suppress(EventRefused):  # what ingest would make a dead letter of
        fact = normalise(record.value, headers, received_at=now_ms, max_bytes=largest)
        builder.take(identity_key(fact).encode(), encode(fact))
