"""How waiting moments lie in Redis, beside the state that they belong to. Pure.

A few together are mostly names, so they lie in a zstd frame that knows the common ones beforehand:
half of what they would take as msgpack.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from services.profile.moments.waiting import Waiting
from shared.packed import Frames, pack, unpack

_VERSION: Final = 1
_DICTIONARY: Final = (
    b"promoter_referral feedback_recovery stage_at_risk onboarding_begun vip_left vip_welcome "
    b"surprise_service surprise_bonus gold_tier milestone occasion_of_relatives order_delayed "
    b"timer:occasion:timer:next_purchase:timer:replenishment:replenishment_due "
    b"next_purchase_expected back_in_stock price_drop review_request post_purchase_care "
    b"checkout_abandoned wishlist_reminder item:timer:churn_risk:churn_risk "
    b"birthday timer:birthday:first_order_anniversary\xb6timer:anniversary:20"
    b"first_purchase_thanks order-complete_the_set browse_abandoned item-cart_abandoned win_back"
    b"\xbbtimer:inactive:17\xa9*segments\xa9*segments\xa0\xa0"
)
"""Names of the shipped scenarios and of timers. Part of the format: another one is another version,
and what it does not know merely takes more."""

_frames: Final = Frames(_DICTIONARY)
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[Waiting])


def pack_waiting(waiting: Sequence[Waiting]) -> bytes:
    """The moments; b"" where there are none."""
    return pack(_VERSION, _encoder.encode(waiting), _frames) if waiting else b""


def unpack_waiting(packed: bytes | None) -> list[Waiting]:
    """The moments of one write. Raises NewerVersion, and ValueError where they are damaged."""
    return _decoder.decode(unpack((_VERSION,), packed, _frames)) if packed else []
