"""The properties of Segment's e-commerce events as the fields of our facts.

One function a family of facts. Each takes what it knows out of `properties` (so what remains is
unknown and kept in `extra`) and returns our fields, money in minor units. An amount in no known
currency cannot be converted: where the fact does not need it, it stays among the unknown ones.
"""

from collections.abc import Callable
from typing import Any, Final, TypeAlias

from services.ingest.money import read_currency, to_minor
from services.ingest.reasons import Reason, refuse

Properties: TypeAlias = dict[str, Any]
Reader: TypeAlias = Callable[[Properties, str | None], dict[str, Any]]

_ITEM_NAMES: Final = ("product_id", "productId", "sku", "id")
_TOTAL_NAMES: Final = ("total", "revenue", "value")


def _take(properties: Properties, *names: str) -> Any:
    """The first of these properties that holds something; it alone is taken out."""
    for name in names:
        if properties.get(name) not in (None, ""):
            return properties.pop(name)
    return None


def _text(value: Any) -> Any:
    """An id as text: shops send numbers too."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _currency(properties: Properties, fallback: str | None) -> str | None:
    stated = _take(properties, "currency")
    return fallback if stated is None else read_currency(stated, "properties.currency")


def _quantity(properties: Properties, path: str) -> dict[str, Any]:
    value = _take(properties, "quantity")
    if value is None:
        return {}
    if isinstance(value, str) and value.strip().isdecimal() and len(value) <= 16:
        return {"quantity": int(value)}
    if isinstance(value, float) and value.is_integer():
        return {"quantity": int(value)}
    if isinstance(value, bool) or not isinstance(value, int):
        raise refuse(Reason.INVALID_FIELD, f"{path}: not a whole number")
    return {"quantity": value}


def _product(properties: Properties, currency: str | None, path: str) -> dict[str, Any]:
    """Item, category, brand and price. Raises EventRefused where the item's id is missing."""
    item = _take(properties, *_ITEM_NAMES)
    if item is None:
        raise refuse(Reason.MISSING_FIELD, f"{path}.product_id: missing")
    fields = {"item": _text(item)}
    for name in ("category", "brand"):
        value = _take(properties, name)
        if value is not None:
            fields[name] = value
    if currency is not None:
        price = _take(properties, "price")
        if price is not None:
            fields["price"] = to_minor(price, currency, f"{path}.price")
    return fields


def _lines(properties: Properties, currency: str | None) -> list[dict[str, Any]]:
    products = properties.pop("products", None)
    if products is None:
        return []
    if not isinstance(products, list):
        raise refuse(Reason.INVALID_FIELD, "properties.products: not an array")
    lines = []
    for index, product in enumerate(products):
        path = f"properties.products[{index}]"
        if not isinstance(product, dict):
            raise refuse(Reason.INVALID_FIELD, f"{path}: not an object")
        rest = dict(product)
        line = _product(rest, currency, path) | _quantity(rest, f"{path}.quantity")
        if "price" in rest:
            rest["decimal_price"] = rest.pop("price")
        lines.append({**rest, **line})
    return lines


def _item(properties: Properties, fallback: str | None) -> dict[str, Any]:
    currency = _currency(properties, fallback)
    fields = _product(properties, currency, "properties")
    if currency is not None and "price" in fields:
        fields["currency"] = currency
    return fields


def _item_in_cart(properties: Properties, fallback: str | None) -> dict[str, Any]:
    return _item(properties, fallback) | _quantity(properties, "properties.quantity")


def _rating(properties: Properties, fallback: str | None) -> dict[str, Any]:
    fields = _item(properties, fallback)
    rating = _take(properties, "rating")
    if isinstance(rating, str):
        try:
            rating = float(rating)
        except ValueError:
            raise refuse(Reason.INVALID_FIELD, "properties.rating: not a number") from None
    return fields if rating is None else {**fields, "rating": rating}


def _list(properties: Properties, _fallback: str | None) -> dict[str, Any]:
    products = properties.pop("products", None) or []
    if not isinstance(products, list):
        raise refuse(Reason.INVALID_FIELD, "properties.products: not an array")
    items = [
        _text(next((product[name] for name in _ITEM_NAMES if product.get(name)), None))
        for product in products
        if isinstance(product, dict)
    ]
    fields: dict[str, Any] = {"items": [item for item in items if item is not None]}
    list_id, category = _take(properties, "list_id"), _take(properties, "category")
    return fields | {"list_id": _text(list_id), "category": category}


def _search(properties: Properties, _fallback: str | None) -> dict[str, Any]:
    query = _take(properties, "query")
    return {} if query is None else {"query": query}


def _cart(properties: Properties, fallback: str | None) -> dict[str, Any]:
    return {"lines": _lines(properties, _currency(properties, fallback))}


def _order_id(properties: Properties) -> dict[str, Any]:
    order = _take(properties, "order_id", "orderId")
    return {} if order is None else {"order": _text(order)}


def _checkout(properties: Properties, fallback: str | None) -> dict[str, Any]:
    currency = _currency(properties, fallback)
    fields = _order_id(properties) | {"lines": _lines(properties, currency)}
    if currency is not None:
        fields["currency"] = currency
        total = _take(properties, *_TOTAL_NAMES)
        if total is not None:
            fields["total"] = to_minor(total, currency, "properties.total")
    return fields


def _order(properties: Properties, fallback: str | None) -> dict[str, Any]:
    """An order or its refund. A total that is not stated is the sum of its priced lines."""
    fields = _checkout(properties, fallback)
    if "currency" not in fields:
        raise refuse(Reason.WRONG_CURRENCY, "properties.currency: missing")
    lines = fields["lines"]
    if "total" not in fields and lines and all("price" in line for line in lines):
        fields["total"] = sum(line["price"] * line.get("quantity", 1) for line in lines)
    return fields


def _purchase(properties: Properties, fallback: str | None) -> dict[str, Any]:
    country = _take(properties, "country")
    return _order(properties, fallback) | {"country": country}


def _order_step(properties: Properties, _fallback: str | None) -> dict[str, Any]:
    return _order_id(properties)


def _offer(properties: Properties, fallback: str | None) -> dict[str, Any]:
    """A promotion. It is about its product where it names one, else the promotion is the item."""
    if not any(properties.get(name) for name in _ITEM_NAMES):
        properties["product_id"] = _take(properties, "promotion_id", "promotionId")
    fields = _item(properties, fallback)
    for ours, theirs in (("placement", "position"), ("decision_id", "decision_id")):
        value = _take(properties, ours, theirs)
        if value is not None:
            fields[ours] = _text(value)
    rank = _take(properties, "rank")
    return fields if rank is None else {**fields, "rank": rank}


def _message(properties: Properties, _fallback: str | None) -> dict[str, Any]:
    message = _take(properties, "message_id", "trigger_id", "email_id")
    return {} if message is None else {"message": _text(message)}


FIELDS: Final[dict[str, Reader]] = {
    "item_viewed": _item,
    "cart_added": _item_in_cart,
    "cart_removed": _item_in_cart,
    "wishlist_added": _item,
    "wishlist_removed": _item,
    "item_rated": _rating,
    "list_viewed": _list,
    "searched": _search,
    "cart_viewed": _cart,
    "checkout_started": _checkout,
    "purchased": _purchase,
    "refunded": _order,
    "order_shipped": _order_step,
    "order_delivered": _order_step,
    "order_delayed": _order_step,
    "offer_shown": _offer,
    "offer_clicked": _offer,
    "message_sent": _message,
    "message_opened": _message,
    "message_clicked": _message,
    "message_bounced": _message,
    "message_unsubscribed": _message,
}
