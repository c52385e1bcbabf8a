"""When a budget or the night lets a message pass. Pure: times are epoch ms."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from services.profile.arbiter.policy import Budget, QuietHours
from services.profile.arbiter.standing import Sent

PATIENCE: Final = 2
"""Messages in a row that may be ignored before the customer hears less."""
DOUBLING: Final = 2
"""Further ignored messages that double the windows."""
LONGEST_STRETCH: Final = 16.0


def stretch(ignored: int) -> float:
    """How much longer the windows are for who ignores what comes: 1 up to PATIENCE, then doubling
    with each DOUBLING more. It never falls while more is ignored."""
    excess = max(0, ignored - PATIENCE)
    return min(float(2.0 ** (excess / DOUBLING)), LONGEST_STRETCH)


def free_at(
    budget: Budget, sent: Sequence[Sent], channel: str, tags: frozenset[str], factor: float
) -> int | None:
    """From when one more message fits into the budget; None: always did.

    sent: newest first. The window ends with the message and leaves out its own beginning, so the
    one that falls out at that very moment no longer counts.
    """
    if budget.messages <= 0:
        return FOREVER
    counted = [message.at for message in sent if budget.covers(message.channel, message.tags)]
    if not budget.covers(channel, tags) or len(counted) < budget.messages:
        return None
    return counted[budget.messages - 1] + int(budget.window_ms * factor)


FOREVER: Final = 1 << 62


def latest(times: Iterable[int | None]) -> int | None:
    """The latest of those that there are."""
    return max((time for time in times if time is not None), default=None)


def quiet_until(quiet: QuietHours, zone: ZoneInfo, now: int) -> int | None:
    """When the quiet hours that `now` lies in end; None outside of them.

    By the customer's own clock: where it is set forward over the end, the end is the first moment
    after the gap; where it is set back, the later of the two (nobody is woken up twice).
    """
    local = datetime.fromtimestamp(now / 1000, zone)
    minute = local.hour * 60 + local.minute
    over_midnight = quiet.end <= quiet.begin
    if over_midnight:
        if quiet.end <= minute < quiet.begin:
            return None
        days = 1 if minute >= quiet.begin else 0
    elif quiet.begin <= minute < quiet.end:
        days = 0
    else:
        return None
    day = local.date() + timedelta(days=days)
    hours, minutes = divmod(quiet.end, 60)
    end = datetime(day.year, day.month, day.day, hours, minutes, fold=1, tzinfo=zone)
    # through UTC and back: what falls into a gap comes out behind it
    return int(end.astimezone(UTC).timestamp() * 1000)
