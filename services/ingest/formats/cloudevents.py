"""CloudEvents 1.0 over Kafka: binary (`ce_*` headers) and structured (one JSON envelope).

`data` holds native fields. The type is a fact's, alone or behind a prefix (`com.shop.item_viewed`).
What the envelope knows fills what `data` leaves open: id, time, and the customer from `subject`.
"""

import base64
import binascii
from typing import Any

from services.ingest.formats import native
from services.ingest.formats.draft import Draft, required_kind
from services.ingest.json_object import read_object
from services.ingest.reasons import Reason, refuse
from shared.headers import Headers, find


def is_binary(headers: Headers) -> bool:
    """Whether the headers carry the envelope."""
    return any(name == "ce_specversion" for name, _ in headers)


def read_binary(event: dict[str, Any], headers: Headers) -> Draft:
    """The draft of an event whose envelope lies in headers. Raises EventRefused."""
    names = ("specversion", "id", "type", "source", "subject", "time")
    return _merge({name: find(headers, "ce_" + name) for name in names}, event)


def read_structured(event: dict[str, Any]) -> Draft:
    """The draft of an event inside its envelope. Raises EventRefused."""
    data = event.get("data")
    if data is None and "data_base64" in event:
        data = _from_base64(event["data_base64"])
    if not isinstance(data, dict):
        raise refuse(Reason.INVALID_FIELD, "data: not a JSON object")
    return _merge(event, data)


def _from_base64(text: Any) -> Any:
    if not isinstance(text, str):
        raise refuse(Reason.INVALID_FIELD, "data_base64: not a text")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise refuse(Reason.INVALID_FIELD, "data_base64: no base64") from None
    return read_object(data, len(data))


def _merge(envelope: dict[str, Any], data: dict[str, Any]) -> Draft:
    version = envelope.get("specversion")
    if not isinstance(version, str) or not version.startswith("1."):
        raise refuse(Reason.INVALID_FIELD, "specversion: only 1.x is read")
    kind = required_kind(envelope.get("type")).rpartition(".")[2]
    draft = native.read({**data, "type": kind})
    if draft.event_id is None:
        draft.event_id = envelope.get("id")
    if draft.original is None:
        draft.original = envelope.get("time")
    if draft.customer is None and draft.anonymous is None:
        draft.customer = envelope.get("subject")
    draft.format = "cloudevents"
    origin = envelope.get("source")
    if isinstance(origin, str):
        draft.extra["ce_source"] = origin
    return draft
