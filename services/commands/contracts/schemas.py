"""JSON Schemas of the types that cross a wire, from the msgspec types that decode them.

asyncapi.py and openapi.py take their component schemas from here, so neither can say something
that the code does not do.
"""

import inspect
from collections.abc import Iterable
from copy import deepcopy
from typing import Any, Final, TypeAlias

import msgspec

from shared.events import INPUT_TYPES, Fact

Schema: TypeAlias = dict[str, Any]
REFERENCE: Final = "#/components/schemas/{name}"
ATTUNES_OWN: Final = ("received_at", "claimed_customer", "cause", "extra")
"""Fields of a fact that only Attune states: a sender's are not taken."""
NATIVE: Final = "NativeEvent"
SEGMENT: Final = "SegmentMessage"
CLOUD_EVENT: Final = "CloudEvent"


def reference(name: str) -> Schema:
    """A pointer to a component schema."""
    return {"$ref": REFERENCE.format(name=name)}


def components(types: Iterable[Any]) -> dict[str, Schema]:
    """Component schemas of these types and all they contain, by name."""
    _, found = msgspec.json.schema_components(types, ref_template=REFERENCE)
    return {name: _tidied(schema) for name, schema in sorted(found.items())}


def _tidied(schema: Any) -> Any:
    """Descriptions without the source's indentation; one value as const, not as a list of one."""
    if isinstance(schema, list):
        return [_tidied(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    tidied = {key: _tidied(value) for key, value in schema.items() if key != "discriminator"}
    if isinstance(tidied.get("description"), str):
        tidied["description"] = inspect.cleandoc(tidied["description"])
    if isinstance(tidied.get("enum"), list) and len(tidied["enum"]) == 1:
        tidied["const"] = tidied.pop("enum")[0]
    if isinstance(schema.get("discriminator"), dict):
        tidied["oneOf"] = tidied.pop("anyOf")
    return tidied


def input_schemas(facts: dict[str, type[Fact]]) -> dict[str, Schema]:
    """What a shop sends: `NativeEvent` and one schema for each type, made from the facts."""
    built: dict[str, Schema] = {}
    for kind in (kind for name, kind in facts.items() if name in INPUT_TYPES):
        schema = deepcopy(components([kind])[kind.__name__])
        properties = schema["properties"]
        for name in ATTUNES_OWN:
            properties.pop(name)
        properties["occurred_at"] = moment("When it happened; absent: when it was received.")
        properties["sent_at"] = moment("When it was sent, by the same clock: corrects a wrong one.")
        properties["context"] = {"type": "object"}
        schema["required"] = [
            name for name in schema["required"] if name not in {*ATTUNES_OWN, "occurred_at"}
        ]
        schema["title"] = "Sent" + kind.__name__
        built[schema["title"]] = schema
    union: Schema = {
        "title": NATIVE,
        "description": (
            "An event in Attune's own format, by `type`. A `customer` or an `anonymous` id says "
            "whose it is. Money is integer minor units of `currency`. Fields that the type does "
            "not have are kept."
        ),
        "oneOf": [reference(name) for name in sorted(built)],
    }
    return {NATIVE: union, SEGMENT: segment_message(), CLOUD_EVENT: cloud_event(), **built}


def moment(meaning: str) -> Schema:
    """A time as a shop may write it."""
    return {
        "description": f"{meaning} Epoch milliseconds, or RFC 3339 (without an offset: UTC).",
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 4_102_444_800_000},
            {"type": "string", "maxLength": 64},
        ],
    }


def segment_message() -> Schema:
    """One call of a Segment or RudderStack SDK, as their HTTP API takes it."""
    text = {"type": ["string", "null"]}
    return {
        "title": SEGMENT,
        "description": "One call in the format of Segment's and RudderStack's HTTP API, "
        "e-commerce spec v2. Amounts are decimals of `currency`.",
        "type": "object",
        "properties": {
            "type": {"enum": ["track", "identify", "alias", "page", "screen"]},
            "messageId": {"type": "string", "minLength": 1, "maxLength": 128},
            "userId": text,
            "anonymousId": text,
            "previousId": text,
            "event": {"type": "string", "description": "The name of a track call."},
            "name": text,
            "properties": {"type": "object"},
            "traits": {"type": "object"},
            "context": {"type": "object"},
            "timestamp": text,
            "originalTimestamp": text,
            "sentAt": text,
        },
        "required": ["type", "messageId"],
    }


def cloud_event() -> Schema:
    """A structured CloudEvent whose data is a native event."""
    return {
        "title": CLOUD_EVENT,
        "description": "CloudEvents 1.0, structured. `data` holds a native event's fields; `type` "
        "is its type, alone or behind a prefix (`com.shop.item_viewed`). What `data` leaves open "
        "is taken from `id`, `time` and `subject` (the customer).",
        "type": "object",
        "properties": {
            "specversion": {"const": "1.0"},
            "id": {"type": "string", "minLength": 1},
            "source": {"type": "string", "minLength": 1},
            "type": {"type": "string", "minLength": 1},
            "subject": {"type": "string"},
            "time": {"type": "string"},
            "data": {"type": "object"},
            "data_base64": {"type": "string"},
        },
        "required": ["specversion", "id", "source", "type"],
    }
