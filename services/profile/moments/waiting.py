"""A moment that may come: kept beside the state in the same write, left out of equality. Pure.

Facts, timers and changes of items put them there (`noting`); the timer loop takes them out when
they are due and asks again whether they still hold (`deciding`). The scenarios decide what waits,
so a rebuild makes them anew from the newest facts.
"""

from typing import Final

from msgspec import Struct

WAITING_KEPT: Final = 64


class Waiting(Struct, array_like=True, frozen=True, order=True):
    """due: when it is to be decided; at: when what caused it happened (both business epoch ms).

    cause: the event's id; `timer:<name>:<which>` of a timer (the date or number that makes it this
    one); `item:<id>@<changed_at>` of a change of an item. subject: what it is about besides: an
    order, an occasion, a segment, an item of an item scenario. Of two that wait for one scenario
    and subject the later replaces the earlier, so a cart still being filled is not abandoned.
    The trigger's id is `stable_id(scenario, identity key, cause)`.
    """

    due: int
    scenario: str
    cause: str
    at: int
    subject: str = ""
    item: str = ""
