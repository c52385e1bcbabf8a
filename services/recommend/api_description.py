"""The recommend endpoints in OpenAPI: body, parameters, answer, errors and examples."""

from typing import Any, Final, NamedTuple

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from msgspec import Struct

import shared
from services.recommend import api_examples as examples
from services.recommend.decision_explained import ExplainedDecision
from services.recommend.listing_requests import (
    BatchAnswer,
    BatchRequest,
    Reranked,
    RerankRequest,
    SimilarRequest,
    TrendingRequest,
    Validated,
)
from services.recommend.request import RecommendRequest
from shared.decisions import Recommendation

REFERENCE: Final = "#/components/schemas/{name}"
ERRORS: Final = {
    "400": "The request is malformed; the message names the field.",
    "401": "No valid key.",
    "403": "The key lacks the scope `recommend`.",
    "413": "The body has more than 32 KB.",
    "503": "Keys are not loaded yet.",
}
DECISION_ERRORS: Final = {
    "404": "There is no such decision, or not yet: a record may take a moment.",
    "429": "Too many decisions are being looked up.",
    "503": "The log or the archive does not answer.",
}
PARAMETERS: Final = {
    "placement": "Where the offers are shown.",
    "n": "How many, 1 to 100; the placement's own number where it is absent.",
    "customer": "Known customer; from a browser only with an identity token.",
    "anonymous": "Anonymous visitor.",
    "session": "Item ids viewed in this visit, comma-separated, oldest first.",
    "exclude": "Item ids not to offer, comma-separated.",
    "session_id": "A visit, where neither customer nor anonymous id is known.",
    "context_only": "true uses the request alone, and no profile.",
    "explain": "true adds `profile` to the answer, and `text` to reasons.",
    "language": "en or ru: the language of `text`.",
    "surprise": "0 (familiar) to 1.",
    "objective": "click, conversion, revenue or margin.",
    "deadline_ms": "Shortens the server's own deadline.",
    "validate_only": "true checks everything, and decides and logs nothing.",
    "country": "ISO 3166 code, two capital letters.",
    "currency": "ISO 4217 code.",
    "age": "Of who will see the offers, in years.",
    "item": "The item that the page shows.",
    "cart": "Item ids in the cart, comma-separated, newest first.",
}


_SHARED: Final = (
    "placement", "n", "customer", "anonymous", "session_id", "exclude", "context_only", "explain",
    "language", "deadline_ms", "validate_only", "country", "age",
)  # fmt: skip


class Endpoint(NamedTuple):
    """One endpoint as it is described. request: of a POST; query: parameters of a GET, None where
    there is none."""

    path: str
    name: str
    summary: str
    description: str
    answer: tuple[Any, dict[str, Any]]
    request: tuple[Any, dict[str, Any]] | None = None
    query: dict[str, str] | None = None


ENDPOINTS: Final = (
    Endpoint(
        "/v1/recommend",
        "recommend",
        "What this shopper should see now, and why",
        "Answered within a deadline, whatever fails: `fallback` says how far down the ladder the "
        "answer stepped. Never cached. A browser key is answered for a customer only with an "
        "identity token, in the header `Attune-Identity-Token` or in `context.identity_token`. "
        "`filters` name fields of items (category, brand, price, currency, item, or one of an "
        "item's own `fields`); all of them must hold. With `validate_only` the answer is "
        "`Validated`.",
        (Recommendation, examples.ANSWER),
        (RecommendRequest, examples.RECOMMEND),
        PARAMETERS,
    ),
    Endpoint(
        "/v1/recommend/batch",
        "recommendBatch",
        "Several placements of a page at once, without repeats across them",
        "The profile is read once; each placement is a decision of its own, with a record of its "
        "own. The first chooses first.",
        (BatchAnswer, examples.BATCHED),
        (BatchRequest, examples.BATCH),
    ),
    Endpoint(
        "/v1/rerank",
        "rerank",
        "A given list in the order that suits this shopper",
        "Every item comes back once. What may not be offered to this shopper, and then what the "
        "catalogue does not know, comes last, and says so in `withheld`.",
        (Reranked, examples.RERANKED),
        (RerankRequest, examples.RERANK),
    ),
    Endpoint(
        "/v1/similar",
        "similar",
        "Items like a given one",
        "By who looked at both, and by what they are; of a shopper only what must not be offered "
        "to them counts.",
        (Recommendation, examples.ANSWER),
        (SimilarRequest, examples.SIMILAR),
        {name: PARAMETERS[name] for name in _SHARED} | {"item": "The item."},
    ),
    Endpoint(
        "/v1/trending",
        "trending",
        "What is wanted now, by country and category",
        "In the country first, where anything of it is known, then in the whole shop.",
        (Recommendation, examples.ANSWER),
        (TrendingRequest, examples.TRENDING),
        {name: PARAMETERS[name] for name in _SHARED} | {"category": "Of this category alone."},
    ),
    Endpoint(
        "/v1/decisions/{decision_id}",
        "decision",
        "A past decision, explained from its record",
        "Within 60 s of the decision and for 30 days. Not for browser keys.",
        (ExplainedDecision, examples.EXPLAINED),
        query={"language": "en or ru: the language of the sentences."},
    ),
)


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
    parts = document.setdefault("components", {})
    parts.setdefault("securitySchemes", {}).setdefault("key", {"type": "http", "scheme": "bearer"})
    paths = document.setdefault("paths", {})
    models = [Validated, *(each.answer[0] for each in ENDPOINTS)]
    models += [each.request[0] for each in ENDPOINTS if each.request]
    _, components = msgspec.json.schema_components(models, ref_template=REFERENCE)
    parts.setdefault("schemas", {}).update(components)
    for path in paths.values():
        for operation in path.values():
            if operation.get("responses", {}).pop("422", None):
                operation["responses"]["400"] = _error(ERRORS["400"])
    for unused in ("HTTPValidationError", "ValidationError"):
        parts["schemas"].pop(unused, None)
    for endpoint in ENDPOINTS:
        paths[endpoint.path] = _described(endpoint)


def _described(endpoint: Endpoint) -> dict[str, Any]:
    found: dict[str, Any] = {}
    shared_parts = {
        "summary": endpoint.summary,
        "description": endpoint.description,
        "tags": ["recommend"],
        "security": [{"key": []}],
        "responses": _responses(*endpoint.answer),
    }
    if endpoint.request is not None:
        model, example = endpoint.request
        content = {"application/json": {"schema": _reference(model), "example": example}}
        body = {"required": True, "content": content}
        found["post"] = {"operationId": endpoint.name, **shared_parts, "requestBody": body}
    if endpoint.query is not None:
        name = endpoint.name + ("Simply" if endpoint.request else "")
        parameters = [_parameter(each, "query", text) for each, text in endpoint.query.items()]
        if "{" in endpoint.path:
            path = _parameter("decision_id", "path", "`decision_id` of an answer.")
            parameters.insert(0, path | {"required": True})
        found["get"] = {"operationId": name, **shared_parts, "parameters": parameters}
    return found


def _parameter(name: str, place: str, text: str) -> dict[str, Any]:
    return {"name": name, "in": place, "description": text, "schema": {"type": "string"}}


def _reference(model: type[Struct]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(name=model.__name__)}


def _responses(model: type[Struct], example: dict[str, Any]) -> dict[str, Any]:
    content = {"application/json": {"schema": _reference(model), "example": example}}
    errors = ERRORS | DECISION_ERRORS if model is ExplainedDecision else ERRORS
    found: dict[str, Any] = {"200": {"description": "The answer.", "content": content}}
    return found | {status: _error(text) for status, text in errors.items()}


def _error(text: str) -> dict[str, Any]:
    named = {"code": {"type": "string"}, "message": {"type": "string"}}
    schema = {
        "type": "object",
        "properties": {"error": {"type": "object", "properties": named}},
    }
    return {"description": text, "content": {"application/json": {"schema": schema}}}
