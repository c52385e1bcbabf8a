"""What shoppers do and hear back: the words between behaviour (visit.py) and whoever carries it.

Behaviour is a generator that yields actions and is sent a `Reply` for each. run.py carries them
out over HTTP and Kafka, dry_run.py in process.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from services.simulator.shopper import Order, Shopper


@dataclass(frozen=True, slots=True)
class Event:
    """One event in Attune's native format, to be sent to the collector."""

    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """A page with room for `count` offers asks for them; `item` is the one the page is about."""

    placement: str
    identity: dict[str, str]
    country: str
    item: str | None = None
    count: int = 4


@dataclass(frozen=True, slots=True)
class Pause:
    """The shopper reads or thinks, in minutes of business time."""

    minutes: float


@dataclass(frozen=True, slots=True)
class Offers:
    """The answer to `Ask`: which decision it was, in which arm, and the items, best first."""

    decision_id: str
    arm: str
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Reply:
    """What comes back for an action. `now`: business epoch ms; offers None: nothing to show."""

    now: int
    offers: Offers | None = None


@dataclass(slots=True)
class Outcome:
    """What became of a visit. `arm`: that of the first offers shown, None where none were."""

    arm: str | None = None
    orders: list[Order] = field(default_factory=list)
    comes_back: bool = False


Action: TypeAlias = Event | Ask | Pause
Script: TypeAlias = Generator[Action, Reply, Outcome]


def event(kind: str, shopper: Shopper, now: int, **fields: Any) -> Event:
    """An event of this shopper, stamped with business time and a fresh id."""
    body = {"type": kind, "event_id": shopper.new_id(), "occurred_at": now}
    return Event(body | shopper.identity() | fields)
