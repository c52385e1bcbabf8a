"""What the fold knows of the kinds of facts, beside what it does with each. Pure."""

from typing import Final

from services.profile.registers import (
    CONTACTED_SUPPORT,
    DELAYED,
    DELIVERED,
    RATED,
    REFUNDED,
    SHIPPED,
)
from shared import events as facts

CODES: Final = {
    kind: code
    for code, kind in enumerate(
        (
            facts.ItemViewed,
            facts.CartAdded,
            facts.CartRemoved,
            facts.Purchased,
            facts.Refunded,
            facts.OfferShown,
            facts.OfferClicked,
            facts.OfferDismissed,
            facts.Searched,
            facts.ListViewed,
            facts.PageViewed,
            facts.WishlistAdded,
            facts.CheckoutStarted,
            facts.MessageSent,
            facts.MessageOpened,
            facts.MessageClicked,
        ),
        start=1,
    )
}
"""Fact type → the small number it is counted under. Append only: states in Redis hold them."""

TOLD: Final = frozenset(
    [
        facts.MessageSent,
        facts.MessageBounced,
        facts.OrderShipped,
        facts.OrderDelivered,
        facts.OrderDelayed,
        facts.Refunded,
        facts.TraitsSet,
    ]
)
"""What the shop or a tool says of a shopper, who need not be there for it."""
PROGRESS: Final[dict[type[facts.Fact], int]] = {
    facts.OrderShipped: SHIPPED,
    facts.OrderDelayed: DELAYED,
    facts.OrderDelivered: DELIVERED,
    facts.Refunded: REFUNDED,
}
"""Facts about an order → what a register says of it."""
LATEST: Final[dict[type[facts.Fact], int]] = {
    facts.ItemRated: RATED,
    facts.SupportContacted: CONTACTED_SUPPORT,
}
"""Facts of which only the latest time is kept → under what."""
