"""Examples for the documents: built through the types themselves, so that each is valid.

An example holds what its type requires and a few fields that explain it. A new required field
needs a value in FIELDS; the generator says so.
"""

import json
from typing import Any, Final

import msgspec
from msgspec import Struct

from shared.catalogue import ItemChanged
from shared.decisions import Decision
from shared.events import FACT_TYPES, INPUT_TYPES, Fact, Identified, MessageDecided
from shared.triggers import Suppression, Trigger

NOON: Final = 1_772_452_800_000
"""2026-03-02 12:00:00 UTC."""
CUSTOMER: Final = "c-1001"
LINE: Final = {"item": "sku-123", "quantity": 1, "price": 4990}

FIELDS: Final[dict[str, Any]] = {
    "event_id": "0190f3a2-6d1c-7c1e-9d57-3f0a5c8f2b11",
    "occurred_at": NOON,
    "received_at": NOON + 40,
    "customer": CUSTOMER,
    "anonymous": "visitor-81",
    "item": "sku-123",
    "category": "shoes",
    "price": 4990,
    "currency": "EUR",
    "order": "o-77",
    "query": "red shoes",
    "rating": 4.0,
    "lines": [LINE],
    "total": 4990,
    "message": "3f7c1e9d5a20b4c8",
    "kind": "nps",
    "score": 9.0,
    "name": "birthday",
    "month": 5,
    "day": 17,
    "traits": {"country": "DE"},
    "purpose": "marketing",
    "granted": True,
    "trigger_id": "3f7c1e9d5a20b4c8",
    "scenario": "cart_abandoned",
    "channel": "email",
    "verdict": "send",
    "reason": "allowed",
    "timer": "cart_abandoned",
    "due": NOON + 3_600_000,
    "experiment": "offers",
    "arm": "personalised",
    "segment": "regulars",
    "stage": "active",
    "through": "events/3/1207",
    "component": "",
}
"""A value for each required field of a fact, by name, and for the optional ones in SHOWN."""
SHOWN: Final = frozenset({"customer", "category", "price", "currency", "total"})

TRIGGER: Final[dict[str, Any]] = {
    "decision_id": "3f7c1e9d5a20b4c8",
    "scenario": "cart_abandoned",
    "customer": CUSTOMER,
    "channel": "email",
    "style": "reminder",
    "not_before": NOON,
    "expires_at": NOON + 86_400_000,
    "dedupe_key": "3f7c1e9d5a20b4c8",
    "priority": 50,
    "fatigue": {"used": 0, "budget": 1, "window": 24},
    "arm": "treated",
    "evidence": ["0190f3a2-6d1c-7c1e-9d57-3f0a5c8f2b11"],
    "payload": {
        "items": ["sku-123", "sku-456"],
        "offers": [],
        "recommendation": "0190f3a2-7f00-7a3b-8c5d-112233445566",
    },
    "version": "spring-1",
    "purpose": "marketing",
    "tags": ["reminder"],
    "about": {"item": "sku-123", "price": 4990},
}

ANSWER: Final[dict[str, Any]] = {
    "decision_id": "0190f3a2-7f00-7a3b-8c5d-112233445566",
    "arm": "personalised",
    "model": {"name": "linear", "version": "1", "trained_at": None},
    "profile_age_ms": 84,
    "fallback": "none",
    "consent_mode": "profiled",
    "items": [
        {
            "id": "sku-456",
            "rank": 1,
            "score": 2.31,
            "explore": False,
            "reasons": [{"code": "session_neighbours", "evidence": {"because_of": ["sku-123"]}}],
        }
    ],
    "filtered": [{"reason": "out_of_stock", "count": 2}],
}


def of_fact(kind: type[Fact]) -> dict[str, Any]:
    """A fact as it stands in `events`. Raises LookupError where FIELDS lacks a required field."""
    values: dict[str, Any] = {"type": kind.__struct_config__.tag}
    for field in msgspec.structs.fields(kind):
        shown = field.name in SHOWN or (kind is Identified and field.name == "anonymous")
        if field.name in FIELDS and (field.required or shown):
            values[field.name] = FIELDS[field.name]
        elif field.required:
            raise LookupError(f"samples.FIELDS needs a value for {kind.__name__}.{field.name}")
    return _checked(values, kind)


def of_event(name: str) -> dict[str, Any]:
    """An event of that type as a shop sends it, in the native format."""
    if name not in INPUT_TYPES:
        raise LookupError(f"{name} is not for shops to send")
    fact = of_fact(FACT_TYPES[name])
    del fact["received_at"]
    return fact


def of_decision() -> dict[str, Any]:
    """A record in `decisions`."""
    record = {
        "decision_id": ANSWER["decision_id"],
        "decided_at": NOON,
        "placement": "home",
        "answer": ANSWER,
        "customer": CUSTOMER,
    }
    return _checked(record, Decision)


def of_item_changed() -> dict[str, Any]:
    """A change in `catalogue`."""
    change = {
        "type": "item_changed",
        "item": "sku-123",
        "title": "Running shoe",
        "category": "shoes",
        "price": 4990,
        "currency": "EUR",
        "stock": 12,
        "changed_at": NOON,
    }
    return _checked(change, ItemChanged)


def of_message(*, sent: bool) -> MessageDecided:
    """A verdict with its trigger, or with what was withheld until later."""
    data = {} if sent else {"suppressed_by": "budget", "retry_at": NOON + 86_400_000}
    decided = {
        **of_fact(MessageDecided),
        "occurred_at": NOON,
        "trigger_id": TRIGGER["decision_id"],
        "verdict": "send" if sent else "hold",
        "trigger": json.dumps(_checked({**TRIGGER, **data}, Trigger if sent else Suppression)),
    }
    decided["trigger"] = decided["trigger"].encode()
    return msgspec.convert(decided, MessageDecided)


def of_segment() -> dict[str, Any]:
    """A call as Segment's SDKs send it."""
    return {
        "type": "track",
        "messageId": "node-next-1772452800000-8f2b11",
        "userId": CUSTOMER,
        "event": "Product Viewed",
        "properties": {"product_id": "sku-123", "price": 49.90, "currency": "EUR"},
        "timestamp": "2026-03-02T12:00:00Z",
    }


def of_cloud_event() -> dict[str, Any]:
    """A structured CloudEvent."""
    return {
        "specversion": "1.0",
        "id": "8f2b11",
        "source": "/shop/backend",
        "type": "com.shop.item_viewed",
        "subject": CUSTOMER,
        "time": "2026-03-02T12:00:00Z",
        "data": {"item": "sku-123"},
    }


def _checked(values: dict[str, Any], kind: type[Struct]) -> dict[str, Any]:
    """The values after a passage through the type: what it refuses is no example."""
    built: dict[str, Any] = msgspec.to_builtins(msgspec.convert(values, kind))
    return built
