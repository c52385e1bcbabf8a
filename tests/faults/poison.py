"""Events that must end as dead letters: twelve kinds, each with the reason it must get. Pure."""

import json
from typing import Any, Final, NamedTuple


class Poison(NamedTuple):
    """One bad event: why it must be refused, its bytes (None: no value), its headers."""

    reason: str
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


def _event(number: int, **fields: Any) -> bytes:
    good = {"type": "item_viewed", "event_id": f"poison-{number}", "customer": "c1", "item": "i1"}
    return json.dumps(good | fields).encode()


REASONS: Final = (
    "null_value",
    "too_large",
    "bad_utf8",
    "malformed_json",
    "nan",
    "too_deep",
    "not_an_object",
    "unknown_format",
    "unknown_type",
    "system_type_refused",
    "missing_identity",
    "negative_price",
)


def poison(number: int, base: int) -> Poison:
    """The bad event of that number; kinds take turns. base: epoch ms of the run's start."""
    reason = REASONS[number % len(REASONS)]
    good = _event(number, occurred_at=base)
    match reason:
        case "null_value":
            return Poison(reason, None)
        case "too_large":
            return Poison(reason, _event(number, note="x" * 33_000))
        case "bad_utf8":
            return Poison(reason, good.replace(b'"i1"', b'"\xff\xfe"'))
        case "malformed_json":
            return Poison(reason, good[:-2])
        case "nan":
            return Poison(reason, _event(number, price=float("nan")))
        case "too_deep":
            return Poison(reason, good[:-1] + b', "note": ' + b"[" * 40 + b"]" * 40 + b"}")
        case "not_an_object":
            return Poison(reason, b"[" + good + b"]")
        case "unknown_format":
            return Poison(reason, good, (("format", b"xml"),))
        case "unknown_type":
            return Poison(reason, _event(number, type="item_teleported"))
        case "system_type_refused":
            return Poison(reason, _event(number, type="message_decided"))
        case "missing_identity":
            return Poison(reason, _event(number, customer=None))
        case _:
            return Poison(reason, _event(number, price=-1))
