"""/v1/recommend in OpenAPI: body, parameters, answer, errors and examples."""

from typing import Any, Final

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

import shared
from services.recommend.request import RecommendRequest
from shared.decisions import Recommendation

REFERENCE: Final = "#/components/schemas/{name}"
REQUEST: Final = {
    "placement": "home",
    "n": 3,
    "customer": "customer-12",
    "context": {"country": "DE", "item": "sku-1024"},
}
ANSWER: Final = {
    "decision_id": "019a5d0e-7c1f-7000-8a3b-5f6d7c8e9f01",
    "arm": "personalised",
    "model": {
        "name": "sessions",
        "version": "20260301T101500",
        "trained_at": "2026-03-01T10:15:00Z",
    },
    "profile_age_ms": 41,
    "fallback": "none",
    "consent_mode": "profiled",
    "items": [
        {
            "id": "sku-2048",
            "rank": 1,
            "score": 1.31,
            "explore": False,
            "reasons": [
                {
                    "code": "similar_sessions",
                    "evidence": {
                        "events": [{"fact": "item_viewed", "item": "sku-1024", "at": None}],
                        "sessions": 12,
                    },
                }
            ],
            "offer": None,
        }
    ],
    "filtered": [{"reason": "out_of_stock", "count": 2}],
    "profile": None,
}
ERRORS: Final = {
    "400": "The request is malformed; the message names the field.",
    "401": "No valid key.",
    "403": "The key lacks the scope `recommend`.",
    "413": "The body has more than 32 KB.",
    "503": "Keys are not loaded yet.",
}
PARAMETERS: Final = {
    "placement": "Where the offers are shown.",
    "n": "How many, 1 to 100; the placement's own number where it is absent.",
    "customer": "Known customer; from a browser only with an identity token.",
    "anonymous": "Anonymous visitor.",
    "session": "Item ids viewed in this visit, comma-separated, oldest first.",
    "exclude": "Item ids not to offer, comma-separated.",
    "explain": "true adds `profile` to the answer.",
    "country": "ISO 3166 code, two capital letters.",
    "currency": "ISO 4217 code.",
    "item": "The item that the page shows.",
    "cart": "Item ids in the cart, comma-separated, newest first.",
}


def describe(app: FastAPI) -> None:
    """Let the application's OpenAPI contain the routes that FastAPI does not know."""

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = get_openapi(
                title="Attune recommend", version=shared.__version__, routes=app.routes
            )
            _add(document)
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _add(document: dict[str, Any]) -> None:
    (request, answer), components = msgspec.json.schema_components(
        [RecommendRequest, Recommendation], ref_template=REFERENCE
    )
    parts = document.setdefault("components", {})
    parts.setdefault("schemas", {}).update(components)
    parts.setdefault("securitySchemes", {}).setdefault("key", {"type": "http", "scheme": "bearer"})
    document.setdefault("paths", {})["/v1/recommend"] = {
        "post": {
            "operationId": "recommend",
            "summary": "What this shopper should see now, and why",
            "description": "Answered within a deadline, whatever fails: `fallback` says how far "
            "down the ladder the answer stepped. Never cached. A browser key is answered for a "
            "customer only with an identity token, in the header `Attune-Identity-Token` or in "
            "`context.identity_token`.",
            "tags": ["recommend"],
            "security": [{"key": []}],
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": request, "example": REQUEST}},
            },
            "responses": _responses(answer),
        },
        "get": {
            "operationId": "recommendSimply",
            "summary": "The same, for simple cases",
            "tags": ["recommend"],
            "security": [{"key": []}],
            "parameters": [
                {"name": name, "in": "query", "description": text, "schema": {"type": "string"}}
                for name, text in PARAMETERS.items()
            ],
            "responses": _responses(answer),
        },
    }


def _responses(answer: dict[str, Any]) -> dict[str, Any]:
    error = {
        "type": "object",
        "properties": {
            "error": {
                "type": "object",
                "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
            }
        },
    }
    found: dict[str, Any] = {
        "200": {
            "description": "Offers, best first, each with its reasons.",
            "content": {"application/json": {"schema": answer, "example": ANSWER}},
        }
    }
    for status, text in ERRORS.items():
        content = {"application/json": {"schema": error}}
        found[status] = {"description": text, "content": content}
    return found
