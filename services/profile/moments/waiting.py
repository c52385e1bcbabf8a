"""A moment that may come: kept beside the state in the same write, left out of equality. Pure.

Facts, timers and changes of items put them there (`noting`); the timer loop takes them out when
they are due and asks again whether they still hold (`deciding`). The scenarios decide what waits,
so a rebuild makes them anew from the newest facts.
"""

from typing import Final

from msgspec import Struct

from services.profile.moments.around import ItemMoved

WAITING_KEPT: Final = 64
SEGMENTS: Final = "*segments"
"""Instead of a scenario: segments and stage are to be asked again."""
ARMS: Final = "*arms"
"""Instead of a scenario: that the customer was shown what another arm gets is to be stated."""
NO_SCENARIOS: Final = frozenset([SEGMENTS, ARMS])
_ITEM: Final = "item:"
_TIMER: Final = "timer:"


class Waiting(Struct, array_like=True, frozen=True, order=True):
    """due: when it is to be decided; at: when what caused it happened (both business epoch ms).

    cause: the event's id; `timer:<name>:<which>` of a timer (the date or number that makes it this
    one); `item:<id>@<changed_at>:<price before>:<stock before>` of a change of an item. subject:
    what it is about besides: an order, an occasion, a segment, an item of an item scenario. Of two
    that wait for one scenario and subject the later replaces the earlier, so a cart still being
    filled is not abandoned. The trigger's id is `stable_id(scenario, identity key, cause)`.
    """

    due: int
    scenario: str
    cause: str
    at: int
    subject: str = ""
    item: str = ""

    @property
    def from_timer(self) -> bool:
        """Whether a named timer put it there: it is asked again when it is due."""
        return self.cause.startswith(_TIMER)


def timer_cause(name: str, which: str) -> str:
    """The cause of one occurrence of a named timer."""
    return f"{_TIMER}{name}:{which}"


def item_cause(moved: ItemMoved) -> str:
    """The cause of a change of an item; carries what the item was before, so that whether a price
    is still so much lower can be asked when the moment is decided, and when a hold ends."""
    before = moved.before
    price = "" if before is None or before.price is None else before.price
    stock = "" if before is None or before.stock is None else before.stock
    return f"{_ITEM}{moved.item.item}@{moved.item.changed_at}:{price}:{stock}"


def before_of(cause: str) -> tuple[int | None, int | None]:
    """Price and stock before the change that a cause names; None where it names none."""
    if not cause.startswith(_ITEM):
        return None, None
    _, price, stock = cause.rsplit(":", 2)
    return (int(price) if price else None), (int(stock) if stock else None)
