"""Who is interested in an item, kept in memory while a partition is replayed. Pure.

The replay's stand-in for the index in Redis: which customers met an item, and when they last viewed
it. Whether that is still an interest, the state says.
"""

from services.profile.component import unpack
from shared import events as facts
from shared.profile import VIEWED

_MET = (facts.ItemViewed, facts.CartAdded, facts.WishlistAdded, facts.OfferClicked)


class Interested:
    """Item → identity → when it last viewed the item, 0 where it only carried or wished it."""

    def __init__(self) -> None:
        self._met: dict[str, dict[str, int]] = {}

    def note(self, key: str, fact: facts.AnyFact) -> None:
        """A fact of that customer, as it is folded."""
        if isinstance(fact, _MET):
            viewed = isinstance(fact, facts.ItemViewed)
            self._meet(key, fact.item, fact.occurred_at if viewed else 0)
        elif isinstance(fact, facts.ProfileAbsorbed):
            component = unpack(fact.component)
            for touch in component.recent:
                self._meet(key, touch.item, touch.at if touch.kind == VIEWED else 0)
            for item in (*component.cart, *component.wishes):
                self._meet(key, item, 0)

    def in_item(self, item: str) -> list[tuple[str, int]]:
        """Identities and when they last viewed it, by identity."""
        return sorted(self._met.get(item, {}).items())

    def _meet(self, key: str, item: str, viewed_at: int) -> None:
        known = self._met.setdefault(item, {})
        known[key] = max(known.get(key, 0), viewed_at)
