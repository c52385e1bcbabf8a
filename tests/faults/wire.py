"""The records of a plan as bytes: native, Segment, CloudEvents structured and binary. Pure."""

import json
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from tests.faults.plan import Planned
from tests.faults.poison import poison
from tests.faults.shoppers import Step

PLAN: Final = "plan"
"""Header of a raw record: its number in the plan. Ingest does not know it and passes it over."""

TRACKS: Final = {
    "item_viewed": "Product Viewed",
    "list_viewed": "Product List Viewed",
    "searched": "Products Searched",
    "cart_added": "Product Added",
    "cart_removed": "Product Removed",
    "checkout_started": "Checkout Started",
    "purchased": "Order Completed",
    "refunded": "Order Refunded",
    "offer_shown": "Promotion Viewed",
    "offer_clicked": "Promotion Clicked",
    "wishlist_added": "Product Added to Wishlist",
    "wishlist_removed": "Product Removed from Wishlist",
}


class Sent(NamedTuple):
    """One record as it is produced."""

    topic: str
    key: bytes
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...]


def event_id(record: Planned) -> str:
    """The id of a good event; what is sent again has the same."""
    return f"e{record.event}"


def render(record: Planned, base: int) -> Sent:
    """The record of a run that started at `base` (epoch ms)."""
    number = ((PLAN, b"%d" % record.number),)
    key = record.key.encode()
    if record.step is None:
        bad = poison(record.event, base)
        return Sent(record.topic, key, bad.value, bad.headers + number)
    body, headers = _FORMS[record.form](record.step, event_id(record), base + record.step.at)
    return Sent(record.topic, key, json.dumps(body).encode(), headers + number)


Rendered = tuple[dict[str, Any], tuple[tuple[str, bytes], ...]]


def _who(step: Step, customer: str, anonymous: str) -> dict[str, Any]:
    pairs = ((customer, step.customer), (anonymous, step.anonymous))
    return {name: value for name, value in pairs if value is not None}


def _native(step: Step, event: str, at: int) -> Rendered:
    who = _who(step, "customer", "anonymous")
    return {"type": step.kind, "event_id": event, "occurred_at": at, **who, **step.fields}, ()


def _structured(step: Step, event: str, at: int) -> Rendered:
    data = _who(step, "customer", "anonymous") | step.fields
    kind = f"com.shop.{step.kind}"
    envelope = {"specversion": "1.0", "id": event, "type": kind, "source": "/shop"}
    return envelope | {"time": _rfc3339(at), "data": data}, ()


def _binary(step: Step, event: str, at: int) -> Rendered:
    names = {"specversion": "1.0", "id": event, "type": step.kind, "source": "/shop"}
    headers = tuple((f"ce_{name}", text.encode()) for name, text in names.items())
    data = _who(step, "customer", "anonymous") | step.fields
    return data, (*headers, ("ce_time", _rfc3339(at).encode()))


def _segment(step: Step, event: str, at: int) -> Rendered:
    call: dict[str, Any] = {"messageId": event, "timestamp": _rfc3339(at)}
    call |= _who(step, "userId", "anonymousId")
    if step.kind == "identified":
        return call | {"type": "identify", "traits": step.fields["traits"]}, ()
    if step.kind == "page_viewed":
        path = {"path": step.fields["path"]}
        return call | {"type": "page", "name": step.fields["name"], "properties": path}, ()
    properties = _properties(step.fields)
    return call | {"type": "track", "event": TRACKS[step.kind], "properties": properties}, ()


def _properties(fields: dict[str, Any]) -> dict[str, Any]:
    """Our fields by Segment's names; amounts as decimals."""
    names = {"item": "product_id", "order": "order_id"}
    properties: dict[str, Any] = {}
    for name, value in fields.items():
        if name in {"price", "total"}:
            properties[name] = f"{value // 100}.{value % 100:02d}"
        elif name == "lines":
            properties["products"] = [
                {"product_id": line["item"], "quantity": line.get("quantity", 1)} for line in value
            ]
        elif name == "items":
            properties["products"] = [{"product_id": item} for item in value]
        else:
            properties[names.get(name, name)] = value
    return properties


def _rfc3339(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).isoformat(timespec="milliseconds")


_FORMS: Final = {
    "native": _native,
    "segment": _segment,
    "structured": _structured,
    "binary": _binary,
}
