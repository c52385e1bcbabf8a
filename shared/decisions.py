"""Decisions on offers: what /v1/recommend answers, and the record it leaves in `decisions`."""

from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias, cast

import msgspec
from msgspec import Struct

ConsentMode: TypeAlias = Literal["profiled", "context_only"]
Fallback: TypeAlias = Literal["none", "no_profile", "trending", "catalogue"]
"""How far down the ladder an answer stepped (`none`: not at all)."""
Arm: TypeAlias = Literal["personalised", "random"]


class Reason(Struct, kw_only=True, omit_defaults=True):
    """Why an item is offered. `evidence` holds what produced it: own events, a rule, counts;
    `text` says it as a sentence, where one was asked for."""

    code: str
    evidence: dict[str, Any] = {}
    text: str | None = None


class OfferedItem(Struct, kw_only=True):
    """One offer. `rank` counts from 1; `explore`: shown to learn rather than to earn;
    offer: the promotion that holds for it now, if any."""

    id: str
    rank: int
    score: float
    explore: bool
    reasons: list[Reason]
    offer: str | None = None


class Filtered(Struct, kw_only=True, omit_defaults=True):
    """How many candidates a hard rule withheld; `text` as in Reason."""

    reason: str
    count: int
    text: str | None = None


LIKENESS: Final = "likeness"
"""The model that orders what is like an item: no ranker of offers to a shopper."""


class ModelName(Struct, kw_only=True):
    """Which model ranked. `trained_at` is RFC 3339, or None for the untrained baseline."""

    name: str
    version: str
    trained_at: str | None = None


class ProfileSeen(Struct, kw_only=True):
    """What of the profile the decision saw: facts folded so far and its clock (epoch ms)."""

    events: int
    clock: int


class Recommendation(Struct, kw_only=True, omit_defaults=False):
    """The answer of /v1/recommend. `profile_age_ms` is None where no profile was read.

    profile_age_ms: real ms since the newest event in the profile was accepted.
    """

    decision_id: str
    arm: Arm
    model: ModelName
    profile_age_ms: int | None
    fallback: Fallback
    consent_mode: ConsentMode
    items: list[OfferedItem]
    filtered: list[Filtered]
    profile: ProfileSeen | None = None


class Decision(Struct, kw_only=True):
    """The record in `decisions`: the answer, whom it was for, and what was asked.

    `decided_at` is business time, epoch ms. `feature_values` and `propensities` are per item of
    the answer, in its order: what the ranker saw of the item, side by side with `feature_names`,
    or nothing where it was not ranked; None: missing. `feature_moves`: how much each feature moved
    the item's score.
    """

    decision_id: str
    decided_at: int
    placement: str
    answer: Recommendation
    customer: str | None = None
    anonymous: str | None = None
    context: dict[str, Any] = {}
    feature_names: list[str] = []
    feature_values: list[list[float | None]] = []
    feature_moves: list[list[float | None]] = []
    propensities: list[float] = []


_encoder = msgspec.json.Encoder()
_offers_decoder = msgspec.json.Decoder(list[OfferedItem])
_decision_decoder = msgspec.json.Decoder(Decision)


def encode_answer(answer: Recommendation) -> bytes:
    """The answer's JSON."""
    return _encoder.encode(answer)


def encode_text(value: object) -> str:
    """JSON of a part of an answer."""
    return _encoder.encode(value).decode()


def encode_numbers(values: list[float]) -> list[str]:
    """JSON of each number."""
    return _encoder.encode(values).decode()[1:-1].split(",") if values else []


def as_encoded_offers(offers: Sequence[str]) -> list[OfferedItem]:
    """Offers in JSON in the place of the items, for an answer that is only to be encoded."""
    return cast("list[OfferedItem]", msgspec.Raw(f"[{','.join(offers)}]".encode()))


def decode_offers(offers: Sequence[str]) -> list[OfferedItem]:
    """The items of an answer out of their JSON."""
    return _offers_decoder.decode(f"[{','.join(offers)}]")


def as_encoded(answer: bytes) -> Recommendation:
    """An answer's JSON in the place of the answer, for a record that is only to be encoded."""
    return cast("Recommendation", msgspec.Raw(answer))


def as_encoded_rows(rows: bytes) -> list[list[float | None]]:
    """Rows of numbers in JSON, for a record that is only to be encoded."""
    return cast("list[list[float | None]]", msgspec.Raw(rows))


def encode_decision(decision: Decision) -> bytes:
    """The record's JSON, as it stands in `decisions`."""
    return _encoder.encode(decision)


def decode_decision(data: bytes) -> Decision:
    """A record from `decisions`. Raises msgspec.ValidationError or DecodeError."""
    return _decision_decoder.decode(data)
