"""Triggers: what marketing tools receive as CloudEvents, and suppressions: what was not sent."""

from typing import Any, Final

import msgspec
from msgspec import Struct

CLOUDEVENTS_VERSION: Final = "1.0"
SOURCE: Final = "attune/profile"


class Fatigue(Struct, kw_only=True):
    """The budget a message was weighed against: messages used of budget in window (hours)."""

    used: int
    budget: int
    window: int


class Payload(Struct, kw_only=True):
    """What to talk about: item ids and offers, best first.

    Items are those that the moment is about and can be bought, then recommend's for this customer;
    recommendation: the decision id of the latter, which clicks should name; "" without.
    """

    items: list[str] = []
    offers: list[dict[str, Any]] = []
    recommendation: str = ""


class Trigger(Struct, kw_only=True):
    """A customer's moment, decided once. Times are epoch ms of business time.

    `decision_id` is the trigger's id: hash(scenario, identity, what caused it). about: what is
    known of the moment by name, such as item, price, previous_price (minor units), order,
    occasion, which; arm: `treated`, `held_out` or `all` of the holdout; evidence: what caused it,
    event ids first of all; version: of the scenarios that decided.
    """

    decision_id: str
    scenario: str
    customer: str
    channel: str
    style: str
    not_before: int
    expires_at: int
    dedupe_key: str
    priority: int
    fatigue: Fatigue
    arm: str
    evidence: list[str]
    payload: Payload
    version: str = ""
    purpose: str = ""
    tags: list[str] = []
    about: dict[str, str | int | float] = {}


class Suppression(Trigger, kw_only=True):
    """A message that was not sent, why, and when it may be tried again (None: never)."""

    suppressed_by: str
    retry_at: int | None = None


class _Life(Struct):
    expires_at: int | None = None


def suppressed(trigger: Trigger, reason: str, retry_at: int | None) -> Suppression:
    """What was to be said, as what is not."""
    fields: dict[str, Any] = msgspec.structs.asdict(trigger)
    return Suppression(**fields, suppressed_by=reason, retry_at=retry_at)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Trigger)
_life_decoder = msgspec.json.Decoder(_Life)


def encode(message: Trigger) -> bytes:
    """The CloudEvent's data."""
    return _encoder.encode(message)


def decode(data: bytes) -> Trigger:
    """The data of a trigger's CloudEvent. Raises msgspec.ValidationError or DecodeError."""
    return _decoder.decode(data)


def expires_at(data: bytes) -> int | None:
    """When a message's life ends, epoch ms; None where it does not say."""
    try:
        return _life_decoder.decode(data).expires_at
    except msgspec.MsgspecError:
        return None
