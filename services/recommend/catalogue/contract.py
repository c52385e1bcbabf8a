"""What the admin endpoints take and answer, as OpenAPI says it: made from the models themselves."""

from typing import Any, Final, TypeAlias

import msgspec

from services.recommend.catalogue.bulk import BulkResult
from services.recommend.catalogue.inputs import TIMES
from services.recommend.catalogue.kinds import Kind

Schema: TypeAlias = dict[str, Any]
_TEXT: Final[Schema] = {"type": "string"}


def sent(kind: Kind) -> Schema:
    """What a caller sends to put one thing; the id is in the address."""
    schema = _model(kind)
    for name in ("type", "changed_at", kind.name):
        schema["properties"].pop(name)
    for name in TIMES:
        if name in schema["properties"]:
            moment = schema["properties"][name]
            moment["anyOf"].append({"type": "string", "format": "date-time"})
    schema.pop("required")
    return schema | {"additionalProperties": False}


def answered(kind: Kind) -> Schema:
    """One thing as GET answers it."""
    schema = _model(kind)
    schema["properties"].pop("type")
    return schema | {"required": sorted(schema["properties"])}


def page(kind: Kind) -> Schema:
    """A page of a list: `next` is the `after` of the following page, null on the last."""
    return {
        "type": "object",
        "required": [kind.plural, "next"],
        "properties": {
            kind.plural: {"type": "array", "items": answered(kind)},
            "next": {"type": ["string", "null"]},
        },
    }


def bulk_result() -> Schema:
    """The answer of a bulk request, self-contained."""
    _, found = msgspec.json.schema_components([BulkResult], ref_template="{name}")
    result: Schema = found["BulkResult"]
    result["properties"]["errors"]["items"] = found["LineError"]
    return result


def bulk_body(kind: Kind) -> Schema:
    """The bodies that a bulk request may have, by content type."""
    line = sent(kind)
    line["properties"][kind.name] = {"type": "string", "minLength": 1, "maxLength": 128}
    line["required"] = [kind.name]
    return {
        "content": {
            "application/json": {"schema": {"type": "array", "items": line}},
            "application/x-ndjson": {"schema": _TEXT},
            "text/csv": {"schema": _TEXT},
        },
        "required": True,
    }


def json_body(schema: Schema) -> Schema:
    """A request body of JSON."""
    return {"content": {"application/json": {"schema": schema}}, "required": True}


def response(schema: Schema, description: str) -> Schema:
    """A response of JSON."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _model(kind: Kind) -> Schema:
    _, found = msgspec.json.schema_components([kind.model], ref_template="{name}")
    schema: Schema = found[kind.model.__name__]
    for name, nested in kind.nested.items():
        choices = schema["properties"][name]["anyOf"]
        choices[:] = [found[nested.__name__] if "$ref" in each else each for each in choices]
    return schema
