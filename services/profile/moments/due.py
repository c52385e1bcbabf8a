"""When an identity must be looked at next: the one entry that it has in the timer index. Pure."""

from typing import Final

from services.profile.identity import Identity

AT_ONCE: Final = 0
"""Due since ever: a fact waits in the outbox, and the log may not have it."""


def next_due(identity: Identity) -> int | None:
    """Business epoch ms, or None where a customer waits for nothing; visitors never do.

    While anything that was stated waits for its fold there is nothing else to decide: it must
    reach the log, whatever has become of its cause, and what it says counts for what is next.
    """
    if not identity.is_customer:
        return None
    if identity.outbox:
        return AT_ONCE
    holds = identity.profile.contact.holds
    due = min([waiting.due for waiting in identity.waiting], default=None)
    if not holds:
        return due
    released = min([hold.retry_at for hold in holds.values()])
    return released if due is None else min(due, released)
