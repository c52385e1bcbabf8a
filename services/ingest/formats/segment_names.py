"""The names of Segment's e-commerce and email events, and the facts they are.

Names are compared without regard to case, `_` or repeated spaces, as SDKs and plug-ins differ. A
name that is not listed is a shop's own event: no fact says it, so it is refused.
"""

from typing import Any, Final

from services.ingest.reasons import Reason, refuse

_KINDS: Final[dict[str, str]] = {
    "product viewed": "item_viewed",
    "product list viewed": "list_viewed",
    "products searched": "searched",
    "product added": "cart_added",
    "wishlist product added to cart": "cart_added",
    "product removed": "cart_removed",
    "cart viewed": "cart_viewed",
    "checkout started": "checkout_started",
    "order completed": "purchased",
    "order refunded": "refunded",
    "order cancelled": "refunded",
    "order shipped": "order_shipped",
    "order delivered": "order_delivered",
    "order delayed": "order_delayed",
    "promotion viewed": "offer_shown",
    "promotion clicked": "offer_clicked",
    "product added to wishlist": "wishlist_added",
    "product removed from wishlist": "wishlist_removed",
    "product reviewed": "item_rated",
}

_MESSAGES: Final[dict[str, tuple[str, str]]] = {
    "email sent": ("message_sent", "email"),
    "email delivered": ("message_sent", "email"),
    "email opened": ("message_opened", "email"),
    "email link clicked": ("message_clicked", "email"),
    "email bounced": ("message_bounced", "email"),
    "email marked as spam": ("message_unsubscribed", "email"),
    "email unsubscribed": ("message_unsubscribed", "email"),
    "unsubscribed": ("message_unsubscribed", "email"),
    "push notification received": ("message_sent", "push"),
    "push notification tapped": ("message_clicked", "push"),
    "push notification bounced": ("message_bounced", "push"),
}


def kind_of(name: str) -> tuple[str, dict[str, Any]]:
    """The fact's type and the fields that the name itself settles. Raises EventRefused."""
    plain = " ".join(name.replace("_", " ").casefold().split())
    if plain in _KINDS:
        return _KINDS[plain], {}
    if plain in _MESSAGES:
        kind, channel = _MESSAGES[plain]
        return kind, {"channel": channel}
    raise refuse(Reason.UNKNOWN_TYPE, "event: no fact answers to this name of a track call")
