"""What triggers are to show: recommend's offers for the customers who will be written to.

Between decision and statement of the verdicts of one tick; whoever gets no answer in time is
written to without.
"""

from collections.abc import Sequence
from typing import Final

from services.profile.identity import Identity
from services.profile.moments.deciding import Decided
from services.profile.payloads import Asked, Payloads
from shared.triggers import Payload

GROUP: Final = 64
"""So many can be answered within the deadline of a group."""


class Offering:
    """Asks recommend for all that want it; without one nobody is asked."""

    def __init__(self, payloads: Payloads | None = None) -> None:
        self._payloads = payloads

    async def payloads(self, made: Sequence[tuple[Identity, Decided]]) -> dict[str, Payload]:
        """By trigger id, for those that are sent and whose scenario asks for offers."""
        wanted = {
            decided.trigger_id: Asked(
                identity.key[2:],
                decided.scenario.payload.placement,
                decided.scenario.payload.n,
                decided.scenario.name,
                decided.moment.item,
            )
            for identity, decided in made
            if decided.verdict == "send"
            and decided.scenario is not None
            and decided.scenario.payload is not None
        }
        found: dict[str, Payload] = {}
        if self._payloads is None:
            return found
        for group in _groups(list(wanted)):
            offered = await self._payloads.ask([wanted[trigger] for trigger in group])
            for trigger, offer in zip(group, offered, strict=True):
                found[trigger] = Payload(items=offer.items, recommendation=offer.decision_id)
        return found


def _groups(triggers: list[str]) -> list[list[str]]:
    return [triggers[start : start + GROUP] for start in range(0, len(triggers), GROUP)]
