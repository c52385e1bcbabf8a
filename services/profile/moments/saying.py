"""What is published of a verdict when its fact is folded live. Pure.

Between the fold and the publisher.
"""

from typing import Final

import msgspec
from msgspec.structs import replace

from services.profile.consent import is_withdrawn
from services.profile.identity import Identity
from shared.events import MessageDecided
from shared.triggers import decode, encode, suppressed

OVERTAKEN: Final = "consent"
"""Why a message is not sent after all."""


def to_say(identity: Identity, fact: MessageDecided) -> MessageDecided | None:
    """The verdict itself; of a message that may not be sent any more, because the log had the
    customer's no before it had the verdict, that it is not.

    Asked after the fold: a message that was counted as sent is sent, also where it is read again.
    """
    if identity.profile.contact.has_sent(fact.trigger_id):
        return fact
    if not is_withdrawn(identity.profile.component, fact):
        return fact
    try:
        trigger = encode(suppressed(decode(fact.trigger), OVERTAKEN, None))
    except msgspec.MsgspecError:
        return None
    return replace(fact, verdict="suppress", reason=OVERTAKEN, trigger=trigger)
