"""Requests and answers as OpenAPI shows them; a test sees that the models take each of them."""

from typing import Any, Final

DECISION: Final = "019a5d0e-7c1f-7000-8a3b-5f6d7c8e9f01"
CONTEXT: Final = {"country": "DE", "item": "sku-1024"}
RECOMMEND: Final[dict[str, Any]] = {
    "placement": "product-page",
    "n": 3,
    "customer": "customer-12",
    "context": CONTEXT,
    "filters": {
        "category": {"any_of": ["shoes", "socks"]},
        "price": {"at_most": 9000},
        "colour": {"none_of": ["brown"]},
        "waterproof": True,
    },
    "promotions": {"share": 0.3, "offers": ["spring"]},
    "surprise": 0.2,
    "objective": "revenue",
    "language": "en",
}
RERANK: Final[dict[str, Any]] = {
    "customer": "customer-12",
    "items": ["sku-7", "sku-2048", "sku-3"],
    "context": {"country": "DE"},
}
SIMILAR: Final[dict[str, Any]] = {"item": "sku-1024", "n": 4, "context": {"country": "DE"}}
TRENDING: Final[dict[str, Any]] = {"category": "shoes", "n": 4, "context": {"country": "DE"}}
BATCH: Final[dict[str, Any]] = {
    "customer": "customer-12",
    "context": CONTEXT,
    "placements": [
        {"placement": "top", "n": 3},
        {"placement": "cheap", "n": 4, "filters": {"price": {"at_most": 2000}}},
    ],
}
REASON: Final = {
    "code": "similar_sessions",
    "evidence": {
        "events": [{"fact": "item_viewed", "item": "sku-1024", "at": None}],
        "sessions": 12,
    },
    "text": "You viewed sku-1024; in 12 such visits this was looked at too.",
}
MODEL: Final = {
    "name": "sessions",
    "version": "20260301T101500",
    "trained_at": "2026-03-01T10:15:00Z",
}
ITEM: Final[dict[str, Any]] = {
    "id": "sku-2048",
    "rank": 1,
    "score": 1.31,
    "explore": False,
    "reasons": [REASON],
    "offer": None,
}
FILTERED: Final = [{"reason": "out_of_stock", "count": 2, "text": "2 items: out of stock"}]
ANSWER: Final[dict[str, Any]] = {
    "decision_id": DECISION,
    "arm": "personalised",
    "model": MODEL,
    "profile_age_ms": 41,
    "fallback": "none",
    "consent_mode": "profiled",
    "items": [ITEM],
    "filtered": FILTERED,
    "profile": None,
}
RERANKED: Final[dict[str, Any]] = ANSWER | {
    "items": [
        ITEM,
        {"id": "sku-3", "rank": 2, "score": 0.0, "explore": False, "reasons": []}
        | {"offer": None, "withheld": "out_of_stock"},
        {"id": "sku-7", "rank": 3, "score": 0.0, "explore": False, "reasons": []}
        | {"offer": None, "withheld": "unknown_item"},
    ],
    "filtered": [{"reason": "out_of_stock", "count": 1}, {"reason": "unknown_item", "count": 1}],
}
BATCHED: Final[dict[str, Any]] = {"placements": [{"placement": "top"} | ANSWER]}
EXPLAINED: Final[dict[str, Any]] = {
    "decision_id": DECISION,
    "decided_at": 1772359200000,
    "placement": "home",
    "customer": "customer-12",
    "anonymous": None,
    "context": {"n": 3, "country": "DE", "item": "sku-1024"},
    "arm": "personalised",
    "model": MODEL,
    "fallback": "none",
    "consent_mode": "profiled",
    "profile_age_ms": 41,
    "items": [
        {name: ITEM[name] for name in ("id", "rank", "score", "explore", "offer", "reasons")}
        | {"propensity": 1.0, "features": [{"name": "session", "value": 0.8, "moved": 0.8}]}
    ],
    "filtered": FILTERED,
}
