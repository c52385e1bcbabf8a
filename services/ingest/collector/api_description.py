"""The collector in OpenAPI: paths, bodies, answers, errors and examples.

The schemas lie in `api_schemas`.
"""

from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import shared
from services.ingest.collector.api_schemas import reference, schemas

VIEW: Final = {
    "type": "item_viewed",
    "event_id": "0b0a7e1c-6f0e-4a3e-9c5b-1f6a4f9f2f11",
    "anonymous": "visitor-81",
    "occurred_at": "2026-03-01T10:15:00Z",
    "item": "sku-1024",
    "price": 1999,
    "currency": "EUR",
}
ORDER: Final = {
    "type": "purchased",
    "event_id": "order-7731",
    "customer": "customer-12",
    "order": "7731",
    "lines": [{"item": "sku-1024", "quantity": 2, "price": 1999}],
    "total": 3998,
    "currency": "EUR",
}
ANSWER: Final = {
    "results": [
        {"index": 0, "status": "accepted", "event_id": VIEW["event_id"]},
        {
            "index": 1,
            "status": "dead_lettered",
            "event_id": "2",
            "reason": "missing_field",
            "message": "item: missing",
        },
    ],
    "accepted": 1,
    "dead_lettered": 1,
    "rejected": 0,
}
ERRORS: Final = {
    "400": "The body as a whole is malformed, or empty.",
    "401": "No valid key, or an identity token that proves nothing.",
    "403": "The key lacks the scope `events`.",
    "413": "A single event, or the batch, is too large.",
    "415": "A Content-Encoding other than gzip.",
    "429": "Too much is waiting for the log.",
    "503": "The log did not acknowledge in time, or keys are not loaded yet.",
}
VISITOR: Final = {"messageId": "1", "anonymousId": "visitor-81"}
CALLS: Final[dict[str, dict[str, Any]]] = {
    "track": {"event": "Product Viewed", "properties": {"product_id": "sku-1024", "price": 19.99}},
    "identify": {"userId": "customer-12", "traits": {"country": "DE"}},
    "page": {"name": "Home", "properties": {"path": "/"}},
    "screen": {"name": "Home"},
    "alias": {"previousId": "visitor-81", "userId": "customer-12"},
    "group": {"groupId": "club", "userId": "customer-12"},
}


def describe(app: FastAPI) -> None:
    """Make the application's OpenAPI document tell of its Starlette routes too."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            described = get_openapi(title=app.title, version=shared.__version__, routes=app.routes)
            described["paths"] = {**described.get("paths", {}), **_paths()}
            components = described.setdefault("components", {})
            components.setdefault("schemas", {}).update(schemas(list(CALLS)))
            components["securitySchemes"] = _security_schemes()
            app.openapi_schema = described
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _paths() -> dict[str, Any]:
    calls = {f"/v1/{name}": {"post": _call(name, body)} for name, body in CALLS.items()}
    return {
        "/v1/events": {"post": _native()},
        "/v1/batch": {"post": _batch("batch")},
        "/v1/import": {"post": _batch("import")},
        **calls,
        "/health/live": {"get": _plain("live", "Whether the process serves.")},
        "/health/ready": {
            "get": _plain("ready", "Whether events can be taken now.", unavailable=True)
        },
        "/metrics": {"get": _plain("metrics", "Series for Prometheus.", "text/plain")},
    }


def _native() -> dict[str, Any]:
    schema = {
        "oneOf": [
            reference("NativeEvent"),
            reference("NativeBatch"),
            {"type": "array", "items": reference("NativeEvent")},
        ]
    }
    json_body = {
        "schema": schema,
        "examples": {
            "one": {"summary": "One event", "value": VIEW},
            "batch": {"summary": "A batch", "value": {"events": [VIEW, ORDER]}},
        },
    }
    lines = {"schema": {"type": "string", "description": "One event a line."}}
    beacon = {"schema": {"type": "string", "description": "The JSON, as sendBeacon sends it."}}
    content = {
        "application/json": json_body,
        "application/x-ndjson": lines,
        "text/plain": beacon,
    }
    return _operation(
        "events",
        "Take events in Attune's own format: one, a batch, or JSON lines.",
        content,
    )


def _batch(name: str) -> dict[str, Any]:
    example = {
        "batch": [
            {"type": "track", "messageId": "1", "anonymousId": "visitor-81", **CALLS["track"]}
        ],
        "sentAt": "2026-03-01T10:15:01Z",
    }
    content = {
        "application/json": {
            "schema": reference("SegmentBatch"),
            "example": example,
        }
    }
    return _operation(name, "Take a batch of a Segment or RudderStack SDK.", content)


def _call(name: str, example: dict[str, Any]) -> dict[str, Any]:
    content = {
        "application/json": {
            "schema": reference("SegmentCall"),
            "example": {**VISITOR, **example},
        }
    }
    return _operation(name, f"Take one Segment or RudderStack call: {name}.", content)


def _operation(name: str, summary: str, content: dict[str, Any]) -> dict[str, Any]:
    encoding = {
        "name": "Content-Encoding",
        "in": "header",
        "schema": {"type": "string", "enum": ["gzip"]},
    }
    token = {
        "name": "Attune-Identity-Token",
        "in": "header",
        "description": "JWT that proves which customer a browser speaks for: `sub` the customer, "
        "`exp` when it ends, and in its header `kid`, the token key's name.",
        "schema": {"type": "string"},
    }
    return {
        "operationId": name,
        "summary": summary,
        "tags": ["events"],
        "security": [{"bearer": []}, {"basic": []}, {"query": []}],
        "parameters": [encoding, token],
        "requestBody": {"required": True, "content": content},
        "responses": _responses(),
    }


def _responses() -> dict[str, Any]:
    answer = {"schema": reference("Answer"), "example": ANSWER}
    described: dict[str, Any] = {
        "200": {
            "description": "The log has acknowledged every event that is not `rejected`.",
            "content": {"application/json": answer},
        }
    }
    for status, description in ERRORS.items():
        described[status] = {
            "description": description,
            "content": {"application/json": {"schema": reference("CollectorError")}},
        }
    retry = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}}
    for status in ("429", "503"):
        described[status]["headers"] = retry
    return described


def _plain(
    name: str, summary: str, media: str = "application/json", *, unavailable: bool = False
) -> dict[str, Any]:
    kind = "object" if media == "application/json" else "string"
    content = {media: {"schema": {"type": kind}}}
    responses = {"200": {"description": summary, "content": content}}
    if unavailable:
        responses["503"] = {"description": "What is away, by name.", "content": content}
    return {"operationId": name, "summary": summary, "tags": ["health"], "responses": responses}


def _security_schemes() -> dict[str, Any]:
    return {
        "bearer": {"type": "http", "scheme": "bearer"},
        "basic": {
            "type": "http",
            "scheme": "basic",
            "description": "The key as user name, no password: what Segment's SDKs send.",
        },
        "query": {"type": "apiKey", "in": "query", "name": "key"},
    }
