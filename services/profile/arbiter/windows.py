"""When budgets let a message pass, and how far they are used. Pure: times are epoch ms."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from services.profile.arbiter.policy import Budget
from services.profile.contact import SENT_KEPT, Sent

FOREVER: Final = 1 << 62


class Usage(Struct, frozen=True):
    """How far one budget is used, and from when one more message fits (0: it does).

    window_ms: as stretched for this customer.
    """

    used: int
    budget: int
    window_ms: int
    free_at: int = 0

    def tighter(self, other: "Usage | None") -> bool:
        """Whether less fits here: by when it does, by how many do, by how long it lasts."""
        if other is None:
            return True
        if self.free_at != other.free_at:
            return self.free_at > other.free_at
        left, right = self.budget - self.used, other.budget - other.used
        return left < right or (left == right and self.window_ms > other.window_ms)


def usage(budget: Budget, sent: Sequence[Sent], stretch: float, now: int) -> Usage:
    """How far the budget is used at `now`. sent: newest first.

    The window ends with the message and leaves out its own beginning: what falls out at that very
    moment no longer counts. A list that is full may have forgotten what lies before its last
    entry, which then counts as using the whole budget.
    """
    window = int(budget.window_ms * stretch)
    begin, used, limit, free_at = now - window, 0, budget.messages, 0
    if limit <= 0:
        free_at = FOREVER
    anything = budget.channel is None and budget.tag is None
    for message in sent:
        if message.at <= begin:
            break
        if anything or budget.covers(message.channel, message.tags):
            used += 1
            if used == limit:
                free_at = message.at + window
    else:
        if len(sent) >= SENT_KEPT and not free_at:
            used, free_at = max(used, limit), sent[-1].at + window
    return Usage(used, limit, window, free_at)


def room(
    budgets: Sequence[Budget],
    sent: Sequence[Sent],
    channels: Sequence[str],
    tags: frozenset[str],
    stretch: float,
    now: int,
) -> dict[str, Usage | None]:
    """By channel the budget that leaves least room there for a message with these tags; None where
    there is no budget. Each budget is looked at once."""
    found: dict[str, Usage | None] = dict.fromkeys(channels)
    for budget in budgets:
        if budget.tag is not None and budget.tag not in tags:
            continue
        if budget.channel is None:
            bound = channels
        elif budget.channel in found:
            bound = (budget.channel,)
        else:
            continue
        used = usage(budget, sent, stretch, now)
        for channel in bound:
            if used.tighter(found[channel]):
                found[channel] = used
    return found
