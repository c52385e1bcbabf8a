"""Dead letters: what ingest refuses, kept as it came, with why, so that it can be mended and sent.

Pure. Key, value and headers are the original ones; our headers say where it lay (`src`), at which
stage and why it was refused, how often it was tried and when it was first seen.
"""

from dataclasses import dataclass
from typing import Final

from shared.errors import EventRefused
from shared.headers import (
    AT,
    ATTEMPT,
    AUTH,
    FIRST_SEEN,
    FORMAT,
    MESSAGE,
    ORIGINAL_BYTES,
    REASON,
    RECEIVED_AT,
    SENT_AT,
    SOURCE,
    SRC,
    STAGE,
    SUBJECT,
    Headers,
    find,
    find_int,
)

NULL_VALUE: Final = "null_value"
"""The record had neither key nor value, which the log does not take; its value stands empty."""

MAX_KEPT_BYTES: Final = 983_040
"""Key, value and headers of a dead letter: the log's limit for a record less its own overhead."""

_OURS: Final = frozenset(
    {SRC, STAGE, REASON, MESSAGE, ATTEMPT, FIRST_SEEN, RECEIVED_AT, ORIGINAL_BYTES, NULL_VALUE}
)
_NEEDED: Final = frozenset({AUTH, SUBJECT, FORMAT, SENT_AT, SOURCE, AT})


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record of `dead-letters`, ready to be sent."""

    key: bytes | None
    value: bytes | None
    headers: Headers


def build(
    *,
    key: bytes | None,
    value: bytes | None,
    headers: Headers,
    src: str,
    stage: str,
    refused: EventRefused,
    received_at: int,
    now: int,
) -> DeadLetter:
    """The dead letter of a raw record. `now` in real epoch ms, `received_at` in business ms.

    A record that was replayed keeps its `src` and `first_seen`; its attempt counts on from 1.
    """
    ours = {
        SRC: src,
        STAGE: stage,
        REASON: refused.reason,
        MESSAGE: str(refused),
        ATTEMPT: str(find_int(headers, ATTEMPT) or 1),
        FIRST_SEEN: find(headers, FIRST_SEEN) or str(now),
        RECEIVED_AT: str(received_at),
    }
    originals = tuple(header for header in headers if header[0] not in _OURS)
    size = len(key or b"") + sum(len(name) + len(data) + 8 for name, data in originals)
    truncated = size + len(value or b"") > MAX_KEPT_BYTES
    if key is None and value is None:
        ours[NULL_VALUE] = "1"
        value = b""
    kept = originals + tuple((name, text.encode()) for name, text in ours.items())
    if truncated:
        return shorten(key, value, kept, MAX_KEPT_BYTES - 16_384)
    return DeadLetter(key, value, kept)


def shorten(key: bytes | None, value: bytes | None, headers: Headers, kept: int) -> DeadLetter:
    """A dead letter with the beginning of its value, and only the headers that say what it is."""
    headers = tuple(
        (name, data)
        for name, data in headers
        if name in _OURS or (name in _NEEDED and len(data) <= 1024)
    )
    if find(headers, ORIGINAL_BYTES) is None:
        headers += ((ORIGINAL_BYTES, b"%d" % len(value or b"")),)
    key = key if key is None or len(key) <= 1024 else None
    return DeadLetter(key, b"" if value is None else value[:kept], headers)
