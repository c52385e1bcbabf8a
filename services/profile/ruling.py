"""The rules in force in this process: the book as it was read last, with what is around it.

Folding, the timer loop and changes of items all ask here, each once for a batch.
"""

from collections.abc import Mapping

from services.profile.identity import Identity
from services.profile.items.catalogue import Move
from services.profile.items.interest import Kinds, wanted_by
from services.profile.learned import Learned
from services.profile.moments.around import Around, ItemMoved
from services.profile.moments.due import next_due
from services.profile.moments.noting import note_change
from services.profile.moments.rules import Rules
from services.profile.scenarios.holding import BookHolder
from shared.catalogue import ItemChanged


class Ruling:
    """Gives the rules: `ruling()`. items: the catalogue, changed in place by whoever follows it."""

    def __init__(
        self, books: BookHolder, items: Mapping[str, ItemChanged], learned: Learned
    ) -> None:
        self._books = books
        self._items = items
        self._learned = learned
        self._rules = self._made()

    def __call__(self) -> Rules:
        """Those of the book that is in force now."""
        if self._rules.book is not self._books.book:
            self._rules = self._made()
        return self._rules

    async def look(self) -> None:
        """Takes up a book that has changed."""
        await self._books.look()

    def _made(self) -> Rules:
        book = self._books.book
        around = Around(
            items=self._items,
            zone=book.policy.zone,
            predict=self._learned.predict,
            refill_days=self._learned.refill_days,
        )
        return Rules(book, around)

    def wanted(self) -> Kinds:
        """The kinds of interest in items that scenarios name."""
        return wanted_by(self().book)

    def note(self, identity: Identity, move: Move, kinds: Kinds) -> bool:
        """Whether a change of an item begins something for this customer."""
        rules = self()
        change = ItemMoved(move.item, move.before)
        return note_change(identity, change, kinds, rules.book, rules.around)

    def next_due(self, identity: Identity) -> int | None:
        """When the customer's timer is to fire."""
        return next_due(identity)
