"""What becomes of one raw record: records for `events`, or one for `dead-letters`. Pure.

The pipeline's inner step: it reads headers, normalises, enriches and encodes, and sends nothing.
"""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from services.ingest import dead_letters
from services.ingest.enrich import KnownItems
from services.ingest.formats.detect import Format
from services.ingest.normalise import keys_of, normalise
from services.ingest.reasons import Reason, refuse
from shared.clock import Clock
from shared.errors import EventRefused
from shared.events import encode, fact_type
from shared.headers import AT, ATTEMPT, FORMAT, RECEIVED_AT, SRC, Headers, find, find_int

if TYPE_CHECKING:
    from shared.bus import Record

MAX_FACT_BYTES: Final = 983_040
"""A fact beyond this (numbers may grow as they are rewritten) does not fit the log."""

_FORMATS: Final = frozenset(Format)
_POSITION: Final = re.compile(r"[A-Za-z0-9._-]{1,249}/[0-9]{1,10}/[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to send for one raw record: `value` under each of `keys`, with `headers`.

    reason: why it was refused, None for a fact; kind: the fact's type; format: as far as known;
    accepted_at: real epoch ms, for the age of the event.
    """

    keys: tuple[bytes | None, ...]
    value: bytes | None
    headers: Headers
    format: str
    kind: str | None = None
    reason: str | None = None
    accepted_at: int = 0


@dataclass(frozen=True, slots=True)
class Decider:
    """Turns raw records into outcomes; `limits` is the largest event by topic name."""

    clock: Clock
    limits: dict[str, int]
    items: KnownItems
    currency: str | None = None

    def decide(self, record: "Record", *, now: int) -> Outcome:
        """The outcome for one record; never raises, whatever the record holds.

        now: real epoch ms.
        """
        # Kafka allows headers without a value, which say nothing here.
        headers = tuple(header for header in record.headers if header[1] is not None)
        received_at = self._received_at(record, headers, now)
        try:
            return self._fact(record, headers, received_at, now)
        except EventRefused as refused:
            return _dead_letter(record, headers, refused, received_at, now)
        except Exception as error:
            # A fault of ours: the event is kept, the others go on, and the reason is an alert.
            fault = refuse(Reason.INTERNAL_ERROR, f"a fault in ingest: {type(error).__name__}")
            return _dead_letter(record, headers, fault, received_at, now)

    def too_large(self, record: "Record", *, now: int) -> Outcome:
        """The dead letter for a record whose fact the log refused to take for its size."""
        headers = tuple(header for header in record.headers if header[1] is not None)
        refused = refuse(Reason.TOO_LARGE, "its fact is larger than the log takes")
        received_at = self._received_at(record, headers, now)
        return _dead_letter(record, headers, refused, received_at, now)

    def _fact(self, record: "Record", headers: Headers, received_at: int, now: int) -> Outcome:
        fact = normalise(
            record.value,
            headers,
            received_at=received_at,
            max_bytes=self.limits[record.topic],
            currency=self.currency,
        )
        self.items.enrich(fact)
        value = encode(fact)
        if len(value) > MAX_FACT_BYTES:
            raise refuse(Reason.TOO_LARGE, f"its fact has {len(value)} bytes")
        accepted_at = find_int(headers, AT) or now
        return Outcome(
            keys=tuple(key.encode() for key in keys_of(fact)),
            value=value,
            headers=((SRC, source_of(record, headers).encode()), (AT, b"%d" % accepted_at)),
            format=fact.source if fact.source in _FORMATS else Format.NATIVE,
            kind=fact_type(fact),
            accepted_at=accepted_at,
        )

    def _received_at(self, record: "Record", headers: Headers, now: int) -> int:
        """Business ms: as the collector says, else as the log's record says, never after now."""
        stated = find_int(headers, RECEIVED_AT)
        if stated is not None:
            return stated
        real = record.timestamp if 0 < record.timestamp < now else now
        return max(0, self.clock.at_real(real))


def source_of(record: "Record", headers: Headers) -> str:
    """`topic/partition/offset` of the raw event: its own, unless it is a replayed dead letter."""
    if find(headers, ATTEMPT) is not None:
        stated = find(headers, SRC)
        if stated is not None and _POSITION.fullmatch(stated):
            return stated
    return f"{record.topic}/{record.partition}/{record.offset}"


def shortened(letter: Outcome, kept: int) -> Outcome:
    """The same dead letter with at most `kept` bytes of its value."""
    cut = dead_letters.shorten(letter.keys[0], letter.value or b"", letter.headers, kept)
    return replace(letter, keys=(cut.key,), value=cut.value, headers=cut.headers)


def _dead_letter(
    record: "Record", headers: Headers, refused: EventRefused, received_at: int, now: int
) -> Outcome:
    letter = dead_letters.build(
        key=record.key,
        value=record.value,
        headers=headers,
        src=source_of(record, headers),
        stage="ingest",
        refused=refused,
        received_at=received_at,
        now=now,
    )
    stated = find(headers, FORMAT)
    return Outcome(
        keys=(letter.key,),
        value=letter.value,
        headers=letter.headers,
        format=stated if stated in _FORMATS else "unknown",
        reason=refused.reason,
    )
