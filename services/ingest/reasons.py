"""Why an event is refused: the closed set of codes that dead letters, answers and metrics carry.

Every part of ingest refuses through `refuse`, so a code that is not listed here cannot occur.
"""

from enum import StrEnum, unique

from shared.errors import EventRefused


@unique
class Reason(StrEnum):
    """Reason codes, stable on the wire. A message beside it says where, never with which value."""

    NULL_VALUE = "null_value"
    TOO_LARGE = "too_large"
    BAD_UTF8 = "bad_utf8"
    MALFORMED_JSON = "malformed_json"
    NAN = "nan"
    TOO_DEEP = "too_deep"
    NOT_AN_OBJECT = "not_an_object"
    UNKNOWN_FORMAT = "unknown_format"
    UNKNOWN_TYPE = "unknown_type"
    SYSTEM_TYPE_REFUSED = "system_type_refused"
    MISSING_EVENT_ID = "missing_event_id"
    MISSING_IDENTITY = "missing_identity"
    UNVERIFIED_IDENTITY = "unverified_identity"
    MISSING_FIELD = "missing_field"
    INVALID_FIELD = "invalid_field"
    NEGATIVE_PRICE = "negative_price"
    WRONG_CURRENCY = "wrong_currency"
    BEFORE_1970 = "before_1970"
    OUT_OF_RANGE_TIME = "out_of_range_time"
    FUTURE_TIME = "future_time"
    INTERNAL_ERROR = "internal_error"


def refuse(reason: Reason, message: str) -> EventRefused:
    """The error to raise for one event. `message` names fields and bounds, never their values."""
    return EventRefused(str(reason), message)
