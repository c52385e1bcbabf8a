"""The record that a decision leaves in the topic `decisions`.

Beside service.py, which puts it into the decision log.
"""

from typing import Any, Final

from services.recommend.decimals import rows_in_json
from services.recommend.features import Matrix
from services.recommend.knowledge import Choice
from services.recommend.request import Asking
from shared.decisions import Decision, as_encoded, as_encoded_rows, encode_decision

VALUE_DIGITS: Final = 8
MOVE_DIGITS: Final = 4
"""Behind the point: of what features were, which training learns from; of what they moved, which
is to explain."""


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
    count = len(choice.offers)
    decision = Decision(
        decision_id=decision_id,
        decided_at=now,
        placement=placement,
        answer=as_encoded(encoded),
        customer=named[0],
        anonymous=named[1],
        context=asked,
        feature_names=choice.feature_names,
        feature_values=_rows(choice.features, VALUE_DIGITS, count),
        feature_moves=_rows(choice.moved, MOVE_DIGITS, count),
        propensities=choice.propensities,
    )
    return decision_id.encode(), encode_decision(decision)


def _rows(matrix: Matrix | None, digits: int, count: int) -> list[list[float | None]]:
    """Of each offer a row, empty of those that were not ranked; nothing where none was."""
    return [] if matrix is None else as_encoded_rows(rows_in_json(matrix, digits, count))
