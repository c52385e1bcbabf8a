"""Sends raw records and keeps the ledger: what it says done, the log has acknowledged.

For each batch, in this order:

1. Send its records; the producer groups them.
2. Wait until every one is acknowledged by all replicas, and note its position.
3. Write the ledger: last row, byte position, number of facts.

An import that is cut off between 2 and 3 sends that batch again when it resumes.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Final, Protocol, TypeAlias

from services.ingest.imports.ledger import Progress
from services.ingest.imports.raw import RawRecord
from shared.bus import Acknowledgement
from shared.headers import Headers

BATCH: Final = 500
Save: TypeAlias = Callable[[Progress], Awaitable[None]]
Advanced: TypeAlias = Callable[[int], object]
"""Told the last row that is done."""


class Sender(Protocol):
    """What sending needs of shared.bus.Producer."""

    async def send(
        self, topic: str, value: bytes | None, *, key: bytes | None = None, headers: Headers = ()
    ) -> Acknowledgement:
        """Accepts a record; awaiting the result waits for the log's acknowledgement."""


@dataclass(slots=True)
class Sent:
    """What this run sent, and what it left out because the ledger knows it is done already.

    sources: `topic/partition/offset` of each record, as the balance names raw events.
    """

    progress: Progress
    skipped: int = 0
    sources: set[str] = field(default_factory=set)


async def send_all(
    records: Iterable[RawRecord],
    sender: Sender,
    namespace: str,
    make_headers: Callable[[], Headers],
    progress: Progress,
    save: Save,
    advanced: Advanced = lambda _row: None,
) -> Sent:
    """Sends all records behind `progress`. Raises LogUnavailable, DatabaseUnavailable.

    Whatever ends it, the ledger stands at the last whole batch.
    """
    sent = Sent(progress)
    fresh = _behind(records, progress.rows_done, sent)
    while batch := list(islice(fresh, BATCH)):
        headers = make_headers()
        waiting = [
            await sender.send(
                record.topic.named(namespace), record.value, key=record.key, headers=headers
            )
            for record in batch
        ]
        for acknowledgement in waiting:
            position = await acknowledgement
            sent.sources.add(f"{position.topic}/{position.partition}/{position.offset}")
        sent.progress = replace(
            sent.progress,
            rows_done=batch[-1].last_row,
            byte_position=batch[-1].position,
            facts_done=sent.progress.facts_done + len(batch),
        )
        await save(sent.progress)
        advanced(batch[-1].last_row)
    return sent


def _behind(records: Iterable[RawRecord], rows_done: int, sent: Sent) -> Iterator[RawRecord]:
    """Records come in the order of their last rows: those that are done are the first ones."""
    for record in records:
        if record.last_row <= rows_done:
            sent.skipped += 1
        else:
            yield record
