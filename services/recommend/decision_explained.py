"""A past decision out of its record, as somebody can read it: the answer of /v1/decisions/{id}."""

from itertools import zip_longest
from typing import Any

from msgspec import Struct

from services.recommend.answers import add_texts
from services.recommend.request import Language
from shared.decisions import (
    Arm,
    ConsentMode,
    Decision,
    Fallback,
    Filtered,
    ModelName,
    OfferedItem,
    Reason,
)


class FeatureSeen(Struct, kw_only=True):
    """What the ranker saw of an item (None: missing), and how much that moved its score (None:
    the record does not say)."""

    name: str
    value: float | None
    moved: float | None = None


class ExplainedItem(Struct, kw_only=True):
    """One offer. propensity: the chance it had to stand where it stood; features: what moved the
    score most comes first."""

    id: str
    rank: int
    score: float
    explore: bool
    offer: str | None
    propensity: float | None
    reasons: list[Reason]
    features: list[FeatureSeen]


class ExplainedDecision(Struct, kw_only=True):
    """The decision: whom it was for, by what it was made, what was offered and what withheld."""

    decision_id: str
    decided_at: int
    placement: str
    customer: str | None
    anonymous: str | None
    context: dict[str, Any]
    arm: Arm
    model: ModelName
    fallback: Fallback
    consent_mode: ConsentMode
    profile_age_ms: int | None
    items: list[ExplainedItem]
    filtered: list[Filtered]


def explained(decision: Decision, language: Language) -> ExplainedDecision:
    """The record in a form to be read, its reasons with sentences in that language."""
    answer = decision.answer
    add_texts(answer, language)
    rows = zip_longest(
        answer.items[:],
        decision.feature_values[: len(answer.items)],
        decision.feature_moves[: len(answer.items)],
        decision.propensities[: len(answer.items)],
    )
    return ExplainedDecision(
        decision_id=decision.decision_id,
        decided_at=decision.decided_at,
        placement=decision.placement,
        customer=decision.customer,
        anonymous=decision.anonymous,
        context=decision.context,
        arm=answer.arm,
        model=answer.model,
        fallback=answer.fallback,
        consent_mode=answer.consent_mode,
        profile_age_ms=answer.profile_age_ms,
        items=[
            _item(item, decision.feature_names, values or [], moves or [], propensity)
            for item, values, moves, propensity in rows
        ],
        filtered=answer.filtered,
    )


def _item(
    item: OfferedItem,
    names: list[str],
    values: list[float | None],
    moves: list[float | None],
    propensity: float | None,
) -> ExplainedItem:
    features = [
        FeatureSeen(name=name, value=value, moved=moved)
        for name, value, moved in zip_longest(names[: len(values)], values, moves[: len(values)])
    ]
    features.sort(key=lambda feature: -abs(feature.moved or 0.0))
    return ExplainedItem(
        id=item.id,
        rank=item.rank,
        score=item.score,
        explore=item.explore,
        offer=item.offer,
        propensity=propensity,
        reasons=item.reasons,
        features=features,
    )
