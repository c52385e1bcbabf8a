"""One raw event becomes one canonical fact, or is refused with a reason.

Pure: the collector calls it to answer per event, ingest to fill `events`, so both say the same.
Steps: bounds → JSON → format → our names and units → identity → time → typed fact.
"""

from typing import Any, Final, NamedTuple

from services.ingest.clock_skew import corrected, read_time
from services.ingest.formats.detect import detect, read_draft
from services.ingest.formats.draft import Draft
from services.ingest.identity import Claim, read_id, settle
from services.ingest.json_object import read_object
from services.ingest.reasons import Reason, refuse
from services.ingest.typed import split_extra, to_fact
from shared.advice import did_you_mean
from shared.errors import EventRefused
from shared.events import (
    FACT_TYPES,
    IMPORTED,
    INPUT_TYPES,
    AnyFact,
    Fact,
    Identified,
    anonymous_key,
    customer_key,
)
from shared.headers import AUTH, SENT_AT, SOURCE, SUBJECT, Headers, find, find_int
from shared.topics import CLICKSTREAM, PURCHASES, Topic

MAX_BYTES: Final = {CLICKSTREAM.name: 32 * 1024, PURCHASES.name: 512 * 1024}
"""Largest event of each raw topic."""

ORDER_TYPES: Final = frozenset({"purchased", "refunded"})
"""Facts whose raw events belong on `purchases`; all others on `clickstream`."""

_BEGINS: Final = {
    name: tuple(word[:4] for word in name.split("_") if len(word) >= 4)
    for name in sorted(INPUT_TYPES)
}
"""How words of each type begin. Only types that share one with an unknown type are compared with
it: a shop may send a wrong type with each of its events, and comparing is slow."""


def normalise(
    value: bytes | None,
    headers: Headers = (),
    *,
    received_at: int,
    max_bytes: int = MAX_BYTES[CLICKSTREAM.name],
    currency: str | None = None,
) -> AnyFact:
    """The fact that a raw event states. The same bytes, headers and arguments: the same fact.

    received_at: business epoch ms at which it was taken. currency: the shop's own, for amounts
    that name none. Raises EventRefused and nothing else, whatever the bytes.
    """
    event = read_object(value, max_bytes)
    draft = read_draft(event, headers, detect(event, headers), currency)
    if draft.kind not in INPUT_TYPES:
        raise _unknown(draft.kind)
    event_id = read_id(draft.event_id, "event_id")
    if event_id is None:
        raise refuse(Reason.MISSING_EVENT_ID, "event_id: missing")
    browser = find(headers, AUTH) == "browser"
    source = None if browser else find(headers, SOURCE) or draft.source
    imported = source is not None and source.startswith(IMPORTED)
    claim = settle(
        customer=read_id(draft.customer, "customer"),
        anonymous=read_id(draft.anonymous, "anonymous"),
        subject=find(headers, SUBJECT),
        trusted=not browser,
    )
    kind = _settled_kind(draft, claim)
    fields, extra = split_extra(kind, draft.fields, draft.extra)
    if currency is not None and fields.get("currency") is None and _has_amount(fields):
        fields["currency"] = currency
    fields |= {
        "event_id": event_id,
        "received_at": received_at,
        "occurred_at": _occurred_at(draft, headers, received_at, imported=imported),
        "customer": claim.customer,
        "anonymous": claim.anonymous,
        "claimed_customer": claim.claimed,
        "source": draft.format if source is None else source,
        "extra": extra,
    }
    return to_fact(kind, fields)


def keys_of(fact: Fact) -> tuple[str, ...]:
    """The keys under which the fact goes to `events`: `identified` has two, all others one."""
    if fact.customer is None:
        return (anonymous_key(fact.anonymous or ""),)
    if isinstance(fact, Identified) and fact.anonymous is not None:
        return customer_key(fact.customer), anonymous_key(fact.anonymous)
    return (customer_key(fact.customer),)


def raw_topic_of(kind: str) -> Topic:
    """The raw topic on which events of this fact type are taken."""
    return PURCHASES if kind in ORDER_TYPES else CLICKSTREAM


class Outline(NamedTuple):
    """What can be said of an event without checking it."""

    event_id: str | None
    kind: str | None


def outline(value: bytes | None, headers: Headers = ()) -> Outline:
    """Id and type of an event, as far as they can be read: for answers about refused ones.

    Never raises; the type is None where the event is too broken to tell.
    """
    try:
        event = read_object(value, MAX_BYTES[PURCHASES.name])
    except EventRefused:
        return Outline(None, None)
    stated = event.get("event_id") or event.get("messageId") or event.get("id")
    event_id = stated if isinstance(stated, str) and len(stated) <= 128 else None
    try:
        kind = read_draft(event, headers, detect(event, headers), None).kind
    except EventRefused:
        kind = None
    return Outline(event_id, kind if kind in INPUT_TYPES else None)


def _unknown(kind: str) -> EventRefused:
    if kind in FACT_TYPES:
        return refuse(Reason.SYSTEM_TYPE_REFUSED, "type: only Attune itself states this fact")
    like = [name for name, begins in _BEGINS.items() if any(begin in kind for begin in begins)]
    fix = did_you_mean(kind, like)
    return refuse(Reason.UNKNOWN_TYPE, f"type: no fact has this name{fix and '; '}{fix}")


def _settled_kind(draft: Draft, claim: Claim) -> str:
    """A login that links nobody, unproved or with one id alone, only sets traits."""
    if draft.kind != "identified" or (claim.customer and claim.anonymous):
        return draft.kind
    if draft.fields.get("traits") is None:
        draft.fields["traits"] = {}
    return "traits_set"


def _has_amount(fields: dict[str, Any]) -> bool:
    return "price" in fields or "total" in fields


def _occurred_at(draft: Draft, headers: Headers, received_at: int, *, imported: bool) -> int:
    """An export was sent long before it is received: its times are taken as they stand."""
    original = None if draft.original is None else read_time(draft.original, "occurred_at")
    if original is None or draft.settled or imported:
        return corrected(received=received_at, original=original, sent=None)
    sent = find_int(headers, SENT_AT) if draft.sent is None else read_time(draft.sent, "sent_at")
    return corrected(received=received_at, original=original, sent=sent)
