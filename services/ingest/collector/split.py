"""Second step of a request: its body as single events, each with its original bytes.

Pure. A body that strict parsing refuses is split by its brackets instead, so that the one event
which is to blame is refused alone.
"""

from typing import Final, NamedTuple, TypeAlias

import msgspec

from services.ingest.collector.elements import Unbalanced, elements, member
from services.ingest.collector.errors import EmptyBatch, MalformedBody
from shared.errors import TooLarge

LINE_TYPES: Final = frozenset(
    {"application/x-ndjson", "application/ndjson", "application/jsonl", "application/json-lines"}
)
_UNPARSED: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class Parts(NamedTuple):
    """The events of a request. `sent_at` and `write_key` stand beside them in Segment batches."""

    events: list[bytes]
    sent_at: str | int | None = None
    write_key: str | None = None


Part: TypeAlias = msgspec.Raw | msgspec.UnsetType


class _Envelope(msgspec.Struct):
    """The members of a body that are not events' own; none is judged before it is needed."""

    events: Part = msgspec.UNSET
    batch: Part = msgspec.UNSET
    type: Part = msgspec.UNSET
    sent_at: Part = msgspec.UNSET
    sentAt: Part = msgspec.UNSET  # noqa: N815  (Segment's names)
    writeKey: Part = msgspec.UNSET  # noqa: N815


_envelope: Final = msgspec.json.Decoder(_Envelope)
_array: Final = msgspec.json.Decoder(list[msgspec.Raw])


def split_native(body: bytes, content_type: str, limit: int) -> Parts:
    """One object, an array, {"events": [...]} or JSON lines (by content type or by shape).

    Raises MalformedBody, EmptyBatch, or TooLarge for more than `limit` events.
    """
    body = body.strip()
    if not body:
        raise EmptyBatch("the body is empty")
    if content_type in LINE_TYPES:
        return _counted(Parts(_lines(body)), limit)
    try:
        if body[:1] == b"[":
            return _counted(Parts(_array_elements(body)), limit)
        if body[:1] == b"{":
            return _counted(_native_object(body), limit)
    except _UNPARSED as error:
        lines = _lines(body)
        if len(lines) > 1 and all(line[:1] == b"{" and line[-1:] == b"}" for line in lines):
            return _counted(Parts(lines), limit)
        return _counted(Parts(_by_brackets(body, "events", error)), limit)
    raise _malformed()


def split_segment_batch(body: bytes, limit: int) -> Parts:
    """{"batch": [...], "sentAt": ..., "writeKey": ...}. Raises as split_native does."""
    body = body.strip()
    if not body:
        raise EmptyBatch("the body is empty")
    if body[:1] != b"{":
        raise _malformed()
    try:
        envelope = _envelope.decode(body)
        if isinstance(envelope.batch, msgspec.UnsetType):
            raise MalformedBody('a batch is an object with the member "batch"')
        events = _array_elements(bytes(envelope.batch))
    except _UNPARSED as error:
        events = _by_brackets(body, "batch", error)
        envelope = _Envelope(
            sentAt=msgspec.Raw(member(body, "sentAt") or b"null"),
            writeKey=msgspec.Raw(member(body, "writeKey") or b"null"),
        )
    return _counted(Parts(events, _time(envelope.sentAt), _text(envelope.writeKey)), limit)


def split_segment_call(body: bytes, call: str) -> Parts:
    """The body of /v1/track and its like, made to say its own type where it does not.

    Only the endpoint knows the type of such a call; every other byte stays as it was sent.
    """
    body = body.strip()
    if not body:
        raise EmptyBatch("the body is empty")
    try:
        envelope = _envelope.decode(body)
    except RecursionError:
        return Parts([body])
    except _UNPARSED:
        raise MalformedBody("the body is not a JSON object") from None
    if isinstance(envelope.type, msgspec.UnsetType):
        rest = body[1:].lstrip()
        comma = b"" if rest[:1] == b"}" else b","
        body = b'{"type":"' + call.encode() + b'"' + comma + rest
    return Parts([body], None, _text(envelope.writeKey))


def _native_object(body: bytes) -> Parts:
    envelope = _envelope.decode(body)
    if isinstance(envelope.events, msgspec.UnsetType) or envelope.type is not msgspec.UNSET:
        return Parts([body])
    return Parts(_array_elements(bytes(envelope.events)), _time(envelope.sent_at))


def _array_elements(array: bytes) -> list[bytes]:
    return [bytes(element) for element in _array.decode(array)]


def _lines(body: bytes) -> list[bytes]:
    return [line for line in map(bytes.strip, body.split(b"\n")) if line]


def _by_brackets(body: bytes, name: str, error: Exception) -> list[bytes]:
    """The elements of the array that the body is, or has under `name`."""
    try:
        if body[:1] == b"{":
            inner = member(body, name)
            if inner is None and isinstance(error, RecursionError):
                return [body]  # one event, too deep to parse: its own result says so
            body = inner or b""
        if body[:1] != b"[":
            raise _malformed()
        return elements(body)
    except Unbalanced:
        raise _malformed() from None


def _text(part: Part) -> str | None:
    value = _value(part)
    return value if isinstance(value, str) else None


def _time(part: Part) -> str | int | None:
    value = _value(part)
    return value if isinstance(value, str | int) and not isinstance(value, bool) else None


def _value(part: Part) -> object:
    if isinstance(part, msgspec.UnsetType):
        return None
    try:
        return msgspec.json.decode(part)
    except _UNPARSED:
        return None


def _malformed() -> MalformedBody:
    return MalformedBody("the body is not JSON that holds events")


def _counted(parts: Parts, limit: int) -> Parts:
    if not parts.events:
        raise EmptyBatch("the batch holds no events")
    if len(parts.events) > limit:
        raise TooLarge(f"a batch holds at most {limit} events")
    return parts
