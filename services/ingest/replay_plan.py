"""Which dead letters go back onto their raw topic, and as what. Pure; `replay` does the work.

A raw event is known by its `src`. Of its dead letters only the newest attempt counts, and that one
goes back once: a raw record of a later attempt says that it went already.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from services.ingest.dead_letters import NULL_VALUE
from shared.errors import InvalidInput
from shared.headers import (
    AT,
    ATTEMPT,
    MESSAGE,
    ORIGINAL_BYTES,
    REASON,
    SRC,
    STAGE,
    Headers,
    find,
    find_int,
)

if TYPE_CHECKING:
    from shared.bus import Record

_LEFT_BEHIND: Final = frozenset(
    {SRC, ATTEMPT, STAGE, REASON, MESSAGE, AT, ORIGINAL_BYTES, NULL_VALUE}
)


class Repaired(msgspec.Struct, frozen=True):
    """One line of a `--repaired` file: the mended event of one `src`."""

    src: str
    value: msgspec.Raw


class Letter(NamedTuple):
    """Where the newest dead letter of a raw event lies."""

    attempt: int
    partition: int
    offset: int
    reason: str
    whole: bool


class Raw(NamedTuple):
    """One record to put back."""

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers


def read_repaired(lines: Iterator[bytes]) -> dict[str, bytes]:
    """Mended events by src. Raises InvalidInput, naming the line."""
    mended: dict[str, bytes] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            entry = msgspec.json.decode(line, type=Repaired)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidInput(
                f'line {number}: not {{"src": "topic/partition/offset", "value": {{...}}}}'
            ) from error
        mended[entry.src] = bytes(entry.value)
    return mended


@dataclass(slots=True)
class Plan:
    """What was found in the logs, and what follows. Memory: one entry a refused raw event.

    topics: the raw topics, as the log names them; reasons: only these codes (empty: all); mended:
    only these src, with these bytes (None: all, as they are).
    """

    topics: frozenset[str]
    reasons: frozenset[str] = frozenset()
    mended: Mapping[str, bytes] | None = None
    limit: int | None = None
    _newest: dict[str, Letter] = field(default_factory=dict)
    _returned: dict[str, int] = field(default_factory=dict)

    def see_raw(self, record: "Record") -> None:
        """Notes a raw record that is a dead letter put back earlier."""
        attempt, src = find_int(record.headers, ATTEMPT), find(record.headers, SRC)
        if attempt is not None and src is not None:
            self._returned[src] = max(attempt, self._returned.get(src, 0))

    def see_letter(self, record: "Record") -> None:
        """Notes a dead letter."""
        headers = record.headers
        src = find(headers, SRC)
        if src is None:
            return
        known = self._newest.get(src)
        attempt = find_int(headers, ATTEMPT) or 1
        if known is None or attempt > known.attempt:
            whole = find(headers, ORIGINAL_BYTES) is None and find(headers, NULL_VALUE) is None
            self._newest[src] = Letter(
                attempt,
                record.partition,
                record.offset,
                find(headers, REASON) or "unknown",
                whole and record.value is not None,
            )

    def choose(self) -> "Choice":
        """The dead letters to put back, and why the others stay."""
        choice = Choice(found=len(self._newest))
        for src, letter in self._newest.items():
            stays = self._why_it_stays(src, letter)
            if stays is None and self.limit is not None and len(choice.letters) >= self.limit:
                stays = "over_limit"
            if stays is not None:
                choice.skipped[stays] += 1
                continue
            choice.letters[(letter.partition, letter.offset)] = src
            choice.reasons[letter.reason] += 1
        if self.mended is not None:
            choice.unmatched = sorted(self.mended.keys() - self._newest.keys())
        return choice

    def _why_it_stays(self, src: str, letter: Letter) -> str | None:
        if src.partition("/")[0] not in self.topics:
            return "no_raw_topic"
        if self.reasons and letter.reason not in self.reasons:
            return "other_reason"
        if self.mended is not None and src not in self.mended:
            return "not_repaired"
        if self._returned.get(src, 0) > letter.attempt:
            return "already_replayed"
        if self.mended is None and not letter.whole:
            return "not_whole"
        return None


@dataclass(slots=True)
class Choice:
    """Dead letters by (partition, offset) in `dead-letters`, with their src, and counts."""

    found: int
    letters: dict[tuple[int, int], str] = field(default_factory=dict)
    reasons: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    unmatched: list[str] = field(default_factory=list)


def to_raw(record: "Record", mended: Mapping[str, bytes] | None) -> Raw:
    """The raw record that a dead letter becomes: its original headers, its src, one attempt on."""
    src = find(record.headers, SRC) or ""
    attempt = (find_int(record.headers, ATTEMPT) or 1) + 1
    kept = tuple(header for header in record.headers if header[0] not in _LEFT_BEHIND)
    added = ((SRC, src.encode()), (ATTEMPT, b"%d" % attempt))
    value = (record.value or b"") if mended is None else mended[src]
    return Raw(src.split("/", 1)[0], record.key, value, kept + added)
