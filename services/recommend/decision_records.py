"""The record that a decision leaves in the topic `decisions`.

Beside service.py, which puts it into the decision log.
"""

from typing import Any, Final

import numpy as np

from services.recommend.features import as_rows
from services.recommend.knowledge import Choice
from services.recommend.request import Asking
from shared.decisions import Decision, as_encoded, encode_decision

DIGITS: Final = 4
"""Of what features moved: enough to explain, and half as long."""


def record_of(
    asking: Asking,
    n: int,
    placement: str,
    named: tuple[str | None, str | None],
    now: int,
    decision_id: str,
    encoded: bytes,
    choice: Choice,
) -> tuple[bytes, bytes]:
    """The record's key, by which decision_lookup finds it, and its content. The identity token is
    no part of it. n: how many were asked for; named: customer and anonymous id, as far as proved;
    encoded: the answer."""
    context = asking.context
    asked: dict[str, Any] = {"n": n}
    if context.country:
        asked["country"] = context.country
    if context.currency:
        asked["currency"] = context.currency
    if context.item:
        asked["item"] = context.item
    if context.cart:
        asked["cart"] = context.cart
    if context.trigger:
        asked["trigger"] = context.trigger
    if asking.session:
        asked["session"] = asking.session
    moved = None if choice.moved is None else np.round(choice.moved, DIGITS)
    decision = Decision(
        decision_id=decision_id,
        decided_at=now,
        placement=placement,
        answer=as_encoded(encoded),
        customer=named[0],
        anonymous=named[1],
        context=asked,
        feature_names=choice.feature_names,
        feature_values=as_rows(choice.features, len(choice.offers)),
        feature_moves=[] if moved is None else as_rows(moved, len(choice.offers)),
        propensities=choice.propensities,
    )
    return decision_id.encode(), encode_decision(decision)
