"""What the expressions of scenarios may read of one customer at one moment. Pure.

Lazy: each variable is worked out when an expression asks for it.
"""

from services.profile.moments.around import Around, ItemMoved
from services.profile.moments.waiting import Waiting, before_of
from services.profile.scenarios.book import Scalar
from services.profile.scenarios.variables import value_of
from services.profile.state import Profile
from shared.catalogue import ItemChanged
from shared.events import AnyFact


class MomentContext:
    """A customer (`profile`), what is around, and a time; and one of: the fact that was just
    folded, the change of an item, the waiting moment that is to be decided.

    now: epoch ms, of the fact or of the decision.
    """

    __slots__ = ("around", "fact", "moved", "now", "profile", "waiting")

    def __init__(
        self,
        profile: Profile,
        around: Around,
        now: int,
        *,
        fact: AnyFact | None = None,
        moved: ItemMoved | None = None,
        waiting: Waiting | None = None,
    ) -> None:
        self.profile = profile
        self.around = around
        self.now = now
        self.fact = fact
        self.moved = moved
        self.waiting = waiting

    @property
    def subject(self) -> str:
        """The order, occasion, segment or item that a waiting moment is about; "" for none."""
        return "" if self.waiting is None else self.waiting.subject

    @property
    def item(self) -> ItemChanged | None:
        """The item it is about as the catalogue has it now."""
        if self.moved is not None:
            return self.moved.item
        name = getattr(self.fact, "item", "") if self.waiting is None else self.waiting.item
        return self.around.items.get(name)

    @property
    def previous_price(self) -> int | None:
        """Minor units before the change that it is about."""
        return self._before()[0]

    @property
    def previous_stock(self) -> int | None:
        """Pieces before the change that it is about."""
        return self._before()[1]

    def _before(self) -> tuple[int | None, int | None]:
        if self.waiting is not None:
            return before_of(self.waiting.cause)
        before = None if self.moved is None else self.moved.before
        return (None, None) if before is None else (before.price, before.stock)

    def value(self, variable: str) -> Scalar:
        """The variable by its dotted name, such as `profile.orders`."""
        return value_of(variable, self)
