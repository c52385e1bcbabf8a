"""Who an event may speak for: a customer only where somebody vouches for the claim. Pure.

Vouching: a server key or the shop's own Kafka producer (`trusted`), or an identity token whose
subject is that customer. An unproved claim is kept as a claim, and the event is the visitor's.
"""

from dataclasses import dataclass
from typing import Any

from services.ingest.reasons import Reason, refuse

MAX_ID = 128


@dataclass(frozen=True, slots=True)
class Claim:
    """Whose the event is. One of customer and anonymous is set; `claimed` was not proved."""

    customer: str | None
    anonymous: str | None
    claimed: str | None = None


def read_id(value: Any, path: str) -> str | None:
    """An id as text; None where it is absent or empty. Raises EventRefused(invalid_field)."""
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**32 else "x" * (MAX_ID + 1)
    if not isinstance(value, str):
        raise refuse(Reason.INVALID_FIELD, f"{path}: neither a text nor an integer")
    check_id(value, path)
    return value


def check_id(value: str, path: str) -> None:
    """Raises EventRefused(invalid_field) for long ids, blanks alone and control characters."""
    if len(value) > MAX_ID:
        raise refuse(Reason.INVALID_FIELD, f"{path}: longer than {MAX_ID} characters")
    if value.isspace():
        raise refuse(Reason.INVALID_FIELD, f"{path}: blank")
    if not value.isprintable() and any(map(_is_control, value)):
        raise refuse(Reason.INVALID_FIELD, f"{path}: holds a control character")


def _is_control(character: str) -> bool:
    return character < " " or "\x7f" <= character <= "\x9f"


def settle(
    *, customer: str | None, anonymous: str | None, subject: str | None, trusted: bool
) -> Claim:
    """Whose the event is. A proved subject speaks for itself where the event names no customer.

    Raises EventRefused: missing_identity, or unverified_identity where nothing but an unproved
    claim says who it was.
    """
    if not trusted and customer is None:
        customer = read_id(subject, "subject")
    if customer is not None and (trusted or customer == subject):
        return Claim(customer, anonymous)
    if anonymous is not None:
        return Claim(None, anonymous, customer)
    if customer is not None:
        raise refuse(Reason.UNVERIFIED_IDENTITY, "customer: not proved, and no anonymous id")
    raise refuse(Reason.MISSING_IDENTITY, "neither a customer nor an anonymous id")
