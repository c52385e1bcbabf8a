"""When an event happened, by the server's clock although the client's may be wrong. Pure.

occurred = received - (sent - original): only the age of the event is taken from the client, whose
clock then may stand anywhere. Without a sent time the stated time is taken as it is.
"""

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from services.ingest.reasons import Reason, refuse

LATEST: Final = 4_102_444_800_000
"""The year 2100: later times are typing errors (year 9999), never moments."""
FUTURE_TOLERANCE_MS: Final = 300_000
"""How far ahead of `received_at` an event may lie; beyond it would jam its identity's clock."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_NUMBER: Final = re.compile(r"-?[0-9]{1,16}")


def read_time(value: Any, path: str) -> int:
    """Epoch ms of an RFC 3339 text (without an offset: UTC) or of integer epoch ms.

    Raises EventRefused: before_1970, out_of_range_time (2100 and later), invalid_field.
    """
    moment = _milliseconds(value, path)
    if moment < 0:
        raise refuse(Reason.BEFORE_1970, f"{path}: before 1970")
    if moment > LATEST:
        raise refuse(Reason.OUT_OF_RANGE_TIME, f"{path}: after the year 2100")
    return moment


def _milliseconds(value: Any, path: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, str) and len(value) <= 64:
        if _NUMBER.fullmatch(value):
            return int(value)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=UTC)
            return (moment - _EPOCH) // _MILLISECOND
    raise refuse(Reason.INVALID_FIELD, f"{path}: neither RFC 3339 nor epoch milliseconds")


def corrected(*, received: int, original: int | None, sent: int | None) -> int:
    """When it happened, epoch ms by the server's clock.

    No original: it happened as it was received. An event that claims to be younger than its own
    sending by at most the tolerance happened at its receipt. Raises EventRefused: future_time,
    before_1970 (an age that reaches behind the epoch).
    """
    if original is None:
        return received
    occurred = original if sent is None else received - (sent - original)
    if occurred > received + FUTURE_TOLERANCE_MS:
        raise refuse(Reason.FUTURE_TIME, "occurred_at: over 5 minutes after it was received")
    if occurred < 0:
        raise refuse(Reason.BEFORE_1970, "occurred_at: before 1970 once the clock is corrected")
    return occurred if sent is None else min(occurred, received)
