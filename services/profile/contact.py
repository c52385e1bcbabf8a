"""What was said to a customer, how it was taken, and what follows for what may be said. Pure.

Part of a customer's state, folded from facts alone: verdicts of the arbiter, what marketing tools
report back, arms, segments and stage. Nothing of it is merged: visitors are not written to.
Times are epoch ms.
"""

from typing import Final

from msgspec import Struct, field

SENT_KEPT: Final = 64
SENT_MS: Final = 90 * 86_400_000
HOLDS_KEPT: Final = 16
STATED_KEPT: Final = 64

NO_ANSWER: Final = 0
OPENED: Final = 1
CLICKED: Final = 2
BOUNCED: Final = 4
UNSUBSCRIBED: Final = 8


class Sent(Struct, array_like=True, frozen=True):
    """One message that was sent, or that a marketing tool says it sent by itself.

    message: the trigger's id, or what the tool calls it; outcome: the most that came of it.
    """

    at: int
    message: str
    channel: str
    scenario: str = ""
    tags: tuple[str, ...] = ()
    transactional: bool = False
    outcome: int = NO_ANSWER


class Hold(Struct, array_like=True, frozen=True):
    """A trigger that waits: asked of the arbiter again at retry_at, up to expires_at.

    attempt: how often it was decided so far; cause, subject, item, due, at: as in `Waiting`.
    """

    scenario: str
    retry_at: int
    expires_at: int
    attempt: int
    cause: str
    due: int
    at: int
    subject: str = ""
    item: str = ""


class Responses(Struct, array_like=True, frozen=True):
    """How messages of one channel were taken, as counts."""

    sent: int = 0
    opened: int = 0
    clicked: int = 0
    unsubscribed: int = 0
    bounced: int = 0


class Stated(Struct, array_like=True, frozen=True):
    """A verdict that was folded: the digest (64 bits) of its fact's id, and at which offset.

    Only the first fact with an id ever speaks, however late another comes.
    """

    mark: int
    offset: int


class Contact(Struct, array_like=True):
    """All of it. sent: newest first, at most SENT_KEPT of the last SENT_MS; holds: by trigger id;
    responses: by channel; spoke: scenario → when it last sent; covered: scenario → until when a
    suppression that was stated covers its further moments, which are then passed over in silence;
    stated: newest last, at most STATED_KEPT; arms: experiment → arm, the first one for good;
    contaminated: was shown, as a visitor, what the other arm gets; segments: name → since when;
    stage: of the journey, and since when.
    """

    sent: list[Sent] = field(default_factory=list)
    holds: dict[str, Hold] = field(default_factory=dict)
    responses: dict[str, Responses] = field(default_factory=dict)
    spoke: dict[str, int] = field(default_factory=dict)
    covered: dict[str, int] = field(default_factory=dict)
    stated: list[Stated] = field(default_factory=list)
    arms: dict[str, str] = field(default_factory=dict)
    contaminated: bool = False
    segments: dict[str, int] = field(default_factory=dict)
    stage: str = ""
    stage_since: int = 0
