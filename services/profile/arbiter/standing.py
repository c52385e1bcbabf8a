"""What the arbiter knows of one customer: consents, what was said, and how it was taken. Pure."""

from typing import Final

from msgspec import Struct

from services.profile.registers import Consent

ALL_CHANNELS: Final = "*"


class Sent(Struct, frozen=True, kw_only=True):
    """One message that went out. at: epoch ms; answered: it was opened or clicked."""

    at: int
    channel: str
    scenario: str
    tags: frozenset[str] = frozenset()
    transactional: bool = False
    answered: bool = False


class Responses(Struct, frozen=True, kw_only=True):
    """How messages of one channel were taken, as counts."""

    sent: int = 0
    opened: int = 0
    clicked: int = 0
    unsubscribed: int = 0
    bounced: int = 0


class Standing(Struct, frozen=True, kw_only=True):
    """One customer at the moment of a decision.

    sent: newest first, as far back as the longest window; decided: scenario → when it last spoke,
    epoch ms; triggers: ids of the triggers decided for good; contaminated: was shown what an
    anonymous arm shows to the other arm.
    """

    customer: str
    zone: str | None = None
    consents: dict[str, Consent] = {}
    sent: tuple[Sent, ...] = ()
    responses: dict[str, Responses] = {}
    decided: dict[str, int] = {}
    triggers: frozenset[str] = frozenset()
    contaminated: bool = False

    def ignored(self) -> int:
        """How many of the latest messages in a row were neither opened nor clicked; transactional
        ones are read for other reasons and tell nothing."""
        count = 0
        for message in self.sent:
            if message.transactional:
                continue
            if message.answered:
                break
            count += 1
        return count
