"""What an adapter makes of one raw event: our names and units, nothing checked yet."""

from dataclasses import dataclass, field
from typing import Any

from services.ingest.reasons import Reason, refuse


@dataclass(slots=True)
class Draft:
    """One event in our words. Identity, times and fields are as the client stated them.

    kind: the fact's type; fields: by the fact's field names, money in minor units; unknown names
    among them end up in `extra`, beside what the adapter put there. sent: when the client sent it,
    by its own clock; `settled` times were corrected by the sender already. source: where the fact
    came from, where the client says more than the format does.
    """

    kind: str
    event_id: Any
    customer: Any = None
    anonymous: Any = None
    original: Any = None
    sent: Any = None
    settled: bool = False
    format: str = "native"
    source: str | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


def required_kind(value: Any) -> str:
    """The event's type as text. Raises EventRefused(missing_field or invalid_field)."""
    if value is None or value == "":
        raise refuse(Reason.MISSING_FIELD, "type: missing")
    if not isinstance(value, str):
        raise refuse(Reason.INVALID_FIELD, "type: not a text")
    return value


def object_or_none(value: Any, path: str) -> dict[str, Any]:
    """An object, empty where it is absent. Raises EventRefused(invalid_field)."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise refuse(Reason.INVALID_FIELD, f"{path}: not an object")
    return value


def public_context(context: dict[str, Any]) -> dict[str, Any]:
    """The context without what a fact must not keep: secrets, addresses, what is told elsewhere."""
    return {name: value for name, value in context.items() if name not in _PRIVATE}


_PRIVATE = frozenset({"identity_token", "ip", "traits", "library", "userAgent", "userAgentData"})
