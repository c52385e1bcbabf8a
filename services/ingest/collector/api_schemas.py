"""The collector's JSON schemas for OpenAPI.

Those of native events are made from the facts themselves, so the two cannot drift apart.
"""

from typing import Any, Final

import msgspec

from services.ingest.collector.intake import Answer
from shared.events import InputFact

TEMPLATE: Final = "#/components/schemas/{name}"
STATED_BY_ATTUNE: Final = ("received_at", "claimed_customer", "cause", "extra")
MOMENT: Final = {
    "anyOf": [
        {"type": "string", "format": "date-time"},
        {"type": "integer", "minimum": 0, "description": "Epoch milliseconds."},
    ]
}


ERROR: Final = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
        }
    },
}


def reference(name: str) -> dict[str, str]:
    """A reference to one of `schemas`."""
    return {"$ref": TEMPLATE.format(name=name)}


def schemas(calls: list[str]) -> dict[str, Any]:
    """All components by name; `calls` are the types of Segment's calls."""
    (_, answers) = msgspec.json.schema_components([Answer], ref_template=TEMPLATE)
    return {**answers, **_native(), **_segment(calls), "CollectorError": ERROR}


def _native() -> dict[str, Any]:
    facts, components = msgspec.json.schema_components(
        list(InputFact.__args__), ref_template=TEMPLATE
    )
    for fact in facts:
        _as_sent(components[fact["$ref"].rsplit("/", 1)[1]])
    batch = {
        "type": "object",
        "required": ["events"],
        "properties": {
            "events": {"type": "array", "items": reference("NativeEvent")},
            "sent_at": MOMENT,
        },
    }
    event = {"oneOf": list(facts), "discriminator": {"propertyName": "type"}}
    return {**components, "NativeEvent": event, "NativeBatch": batch}


def _segment(calls: list[str]) -> dict[str, Any]:
    identifier = {"type": "string", "maxLength": 128}
    call = {
        "type": "object",
        "description": "A call as Segment's HTTP API specifies it.",
        "properties": {
            "type": {"enum": calls},
            "messageId": identifier,
            "userId": identifier,
            "anonymousId": identifier,
            "sentAt": MOMENT,
            "context": {"type": "object"},
        },
    }
    batch = {
        "type": "object",
        "required": ["batch"],
        "properties": {
            "batch": {"type": "array", "items": reference("SegmentCall")},
            "sentAt": MOMENT,
            "writeKey": {"type": "string"},
        },
    }
    return {"SegmentCall": call, "SegmentBatch": batch}


def _as_sent(schema: dict[str, Any]) -> None:
    """A fact's schema as a shop sends it: without what Attune adds, times in either form."""
    for name in STATED_BY_ATTUNE:
        schema["properties"].pop(name, None)
    optional = {*STATED_BY_ATTUNE, "occurred_at"}
    schema["required"] = [name for name in schema["required"] if name not in optional]
    token = {"type": "string", "description": "JWT that proves who the customer is."}
    schema["properties"] |= {
        "occurred_at": MOMENT,
        "sent_at": MOMENT,
        "context": {"type": "object", "properties": {"identity_token": token}},
    }
