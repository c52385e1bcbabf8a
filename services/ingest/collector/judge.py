"""Third step of a request: what becomes of each event, and the raw record that carries it.

Pure. Uses ingest's own normaliser, so the answer says what ingest is going to do. An event that
will be refused goes to the raw topic all the same: ingest keeps it as a dead letter.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

import msgspec

from services.ingest.clock_skew import read_time
from services.ingest.collector.split import Parts
from services.ingest.normalise import keys_of, normalise, outline, raw_topic_of
from services.ingest.reasons import Reason
from shared import headers as names
from shared.errors import EventRefused
from shared.events import fact_type
from shared.headers import Headers
from shared.topics import CLICKSTREAM, Topic

Format: TypeAlias = Literal["native", "segment"]
Status: TypeAlias = Literal["accepted", "dead_lettered", "rejected"]
Prove: TypeAlias = Callable[[str], str | None]

MOST_TOKENS: Final = 16
"""Different identity tokens that one request may bring: each costs a signature check."""


class Result(msgspec.Struct, omit_defaults=True):
    """What became of one event. `index` counts from 0 in the order of the request."""

    index: int
    status: Status
    event_id: str | None = None
    reason: str | None = None
    message: str | None = None


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One record for a raw topic."""

    topic: Topic
    value: bytes
    key: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Arrival:
    """What holds for all events of a request. received_at, sent_at: business ms; at: real ms.

    trusted: its key may say who a customer is. subject: proved for the whole request.
    """

    format: Format
    received_at: int
    at: int
    max_bytes: int
    trusted: bool
    sent_at: int | None = None
    subject: str | None = None
    currency: str | None = None

    def headers(self, subject: str | None) -> Headers:
        """The headers of a record of this request."""
        found = [
            (names.FORMAT, self.format.encode()),
            (names.RECEIVED_AT, b"%d" % self.received_at),
            (names.AT, b"%d" % self.at),
            (names.AUTH, b"server" if self.trusted else b"browser"),
        ]
        if self.sent_at is not None:
            found.append((names.SENT_AT, b"%d" % self.sent_at))
        if subject is not None:
            found.append((names.SUBJECT, subject.encode()))
        return tuple(found)


class _Context(msgspec.Struct):
    identity_token: str | None = None


class _Proof(msgspec.Struct):
    context: _Context | None = None


_proof: Final = msgspec.json.Decoder(_Proof)


def judge(
    event: bytes, index: int, arrival: Arrival, prove: Prove
) -> tuple[Result, RawRecord | None]:
    """The event's result, and its record unless it is rejected. Raises nothing.

    `prove` gives the customer that a token proves, or None where it proves nothing.
    """
    if len(event) > arrival.max_bytes:
        message = f"{len(event)} bytes; an event over HTTP has at most {arrival.max_bytes}"
        return Result(index, "rejected", None, Reason.TOO_LARGE.value, message), None
    subject = arrival.subject
    if subject is None and not arrival.trusted and b"identity_token" in event:
        subject = _proved(event, prove)
    headers = arrival.headers(subject)
    try:
        fact = normalise(
            event,
            headers,
            received_at=arrival.received_at,
            max_bytes=arrival.max_bytes,
            currency=arrival.currency,
        )
    except EventRefused as refused:
        seen = outline(event, headers)
        topic = CLICKSTREAM if seen.kind is None else raw_topic_of(seen.kind)
        result = Result(index, "dead_lettered", seen.event_id, refused.reason, str(refused))
        return result, RawRecord(topic, event, None, headers)
    key = keys_of(fact)[0].encode()
    record = RawRecord(raw_topic_of(fact_type(fact)), event, key, headers)
    return Result(index, "accepted", fact.event_id), record


def _proved(event: bytes, prove: Prove) -> str | None:
    try:
        proof = _proof.decode(event)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    token = proof.context.identity_token if proof.context is not None else None
    return None if token is None else prove(token)


def remembering(prove: Prove) -> Prove:
    """Checks each token of a request once, and at most MOST_TOKENS; more prove nothing."""
    seen: dict[str, str | None] = {}

    def once(token: str) -> str | None:
        if token not in seen:
            if len(seen) >= MOST_TOKENS:
                return None
            seen[token] = prove(token)
        return seen[token]

    return once


def sent_at(parts: Parts) -> int | None:
    """When the client sent its batch, by its own clock; None where it does not say so legibly."""
    value: Any = parts.sent_at
    if value is None:
        return None
    try:
        return read_time(value, "sent_at")
    except EventRefused:
        return None
