"""The balance of invariant 3: in = applied + deduplicated + dead-lettered, by distinct raw event.

A raw event is known by its `src` (topic/partition/offset). It counts as applied when a copy of it
in `events` was the first with its id; deduplicated when all its copies met one that was; else
dead-lettered when `dead-letters` holds it; else it is still pending. Pure.
"""

from dataclasses import dataclass, field

from msgspec import Struct


class Balance(Struct, kw_only=True):
    """The counts, and whether they add up with nothing pending."""

    received: int
    applied: int
    deduplicated: int
    dead_lettered: int
    pending: int

    @property
    def balanced(self) -> bool:
        """Every raw event is accounted for, exactly once."""
        accounted = self.applied + self.deduplicated + self.dead_lettered
        return self.pending == 0 and self.received == accounted


@dataclass(slots=True)
class Accounts:
    """Which raw events were seen where, by `src`."""

    raw: set[str] = field(default_factory=set)
    in_events: set[str] = field(default_factory=set)
    applied: set[str] = field(default_factory=set)
    dead: dict[str, str] = field(default_factory=dict)
    """src → reason code."""

    def received(self, source: str) -> None:
        """A record of a raw topic; a replayed dead letter counts as the event it was."""
        self.raw.add(source)

    def folded(self, source: str, *, applied: bool) -> None:
        """A copy in `events`, with the verdict of the reference replay."""
        self.in_events.add(source)
        if applied:
            self.applied.add(source)

    def refused(self, source: str, reason: str) -> None:
        """A dead letter."""
        self.dead[source] = reason

    def balance(self, only: set[str] | None = None) -> Balance:
        """The counts over all raw events, or over those in `only`."""
        known = self.raw | self.in_events | self.dead.keys()
        if only is not None:
            known &= only
        applied = known & self.applied
        deduplicated = (known & self.in_events) - applied
        dead = (known & self.dead.keys()) - self.in_events
        return Balance(
            received=len(known),
            applied=len(applied),
            deduplicated=len(deduplicated),
            dead_lettered=len(dead),
            pending=len(known) - len(applied) - len(deduplicated) - len(dead),
        )

    def dead_by_reason(self, only: set[str] | None = None) -> dict[str, int]:
        """Dead letters that did not become facts later, by reason code."""
        counts: dict[str, int] = {}
        for source, reason in self.dead.items():
            if source not in self.in_events and (only is None or source in only):
                counts[reason] = counts.get(reason, 0) + 1
        return dict(sorted(counts.items()))
