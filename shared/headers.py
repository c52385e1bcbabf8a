"""Names of the Kafka headers that Attune writes, and how it reads them."""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

Headers: TypeAlias = tuple[tuple[str, bytes], ...]

SRC: Final = "src"
"""`topic/partition/offset` of the raw event; the balance counts these."""
CAUSE: Final = "cause"
"""On the system's own facts: what made it state them."""
AT: Final = "at"
"""Real epoch ms at which the event was accepted: freshness is measured from here."""
RECEIVED_AT: Final = "received_at"
"""Business epoch ms at which the event was accepted."""
SENT_AT: Final = "sent_at"
"""Business epoch ms at which the client sent its batch, by the client's clock."""
FORMAT: Final = "format"
"""`native` or `segment`, as the endpoint knew; else detected from shape."""
AUTH: Final = "auth"
"""`server` or `browser`: which kind of key vouched for the event."""
SOURCE: Final = "source"
"""Where a raw event came from, such as `import:<mapping>`; never taken from a browser."""
SUBJECT: Final = "subject"
"""Customer id that an identity token proved."""
STAGE: Final = "stage"
REASON: Final = "reason"
MESSAGE: Final = "message"
ATTEMPT: Final = "attempt"
FIRST_SEEN: Final = "first_seen"
ORIGINAL_BYTES: Final = "original_bytes"
"""On a dead letter that was cut: the size its value had."""

_INTEGER: Final = re.compile(r"-?[0-9]{1,18}", re.ASCII)


def find(headers: Iterable[tuple[str, bytes]], name: str) -> str | None:
    """The first header of that name as text, or None; undecodable and null ones count as absent."""
    for key, value in headers:
        if key == name:
            try:
                return value.decode()
            except (UnicodeDecodeError, AttributeError):  # Kafka's headers may be null
                return None
    return None


def find_int(headers: Iterable[tuple[str, bytes]], name: str) -> int | None:
    """The header as an integer, or None where it is absent or no integer."""
    text = find(headers, name)
    return int(text) if text is not None and _INTEGER.fullmatch(text) else None
