"""Keeps the index of interested customers: a step of each batch, before its states are written.

Between `applying` and `interest_store`. Costs nothing where no scenario asks for a change of items.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from services.profile.identity import Delivery
from services.profile.items.interest import Kinds, gather
from services.profile.items.interest_store import InterestStore
from services.profile.window import Verdict
from shared.clock import Now


class Judged(Protocol):
    """One verdict for each delivery of an identity."""

    @property
    def verdicts(self) -> list[Verdict]: ...


class InterestIndex:
    """wanted: gives the kinds of interest that scenarios name at the time."""

    def __init__(self, store: InterestStore, wanted: Callable[[], Kinds], clock: Now) -> None:
        self._store = store
        self._wanted = wanted
        self._clock = clock

    async def note(
        self, deliveries: Mapping[str, Sequence[Delivery]], effects: Mapping[str, Judged]
    ) -> None:
        """Adds the interest that a batch's new facts show. Raises StoreUnavailable."""
        wanted = self._wanted()
        if wanted:
            gathered = gather(deliveries, lambda key: effects[key].verdicts, wanted)
            await self._store.add(gathered, self._clock.now_ms())
