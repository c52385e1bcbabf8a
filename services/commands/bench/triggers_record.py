"""What the topics tell about messages, gathered for the checker of `attune bench triggers`. Pure.

Fed with decoded records of `events` (each partition in order), of `catalogue` and of `triggers.*`,
`suppressions`. Knows facts by their names in the topics' documentation alone.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

INTERESTS: Final = frozenset({"item_viewed", "cart_added", "wishlist_added"})


@dataclass(frozen=True, slots=True)
class Said:
    """A trigger as it came: on which channel, about what. items: of its payload; item: the one that
    the message is about, if it is about one; evidence: ids of the events that it rests on;
    written_at: real ms by the log."""

    id: str
    customer: str
    scenario: str
    channel: str
    items: tuple[str, ...]
    item: str
    evidence: tuple[str, ...]
    written_at: int = field(compare=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A decision as `events` has it. fact: its id; at, retry_at, expires_at: business ms;
    decided_at: `at` in real ms; written_at: real ms by the log; seen: how many facts of the
    customer's diary came before it in the log; partition: of `events`."""

    fact: str
    trigger: str
    customer: str
    scenario: str
    channel: str
    verdict: str
    reason: str
    at: int
    decided_at: int
    seen: int
    attempt: int
    retry_at: int | None
    expires_at: int | None
    written_at: int
    partition: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that matters of a customer. id: the event's; written_at: real ms; what: a fact's
    type."""

    id: str
    what: str
    at: int
    written_at: int
    body: Mapping[str, Any]


@dataclass(slots=True)
class Gathered:
    """All that was read. real: business ms → real ms; unsaid: id of a suppression → its reason and
    when it is asked again; items: item → changes (real ms, stock);
    arms: customer → experiment → arms in the order of the log; assigned: customer → arm of the
    global holdout, and since when."""

    real: Callable[[int], int]
    said: dict[str, list[Said]] = field(default_factory=lambda: defaultdict(list))
    unsaid: dict[str, tuple[str, int | None]] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    diaries: dict[str, list[Entry]] = field(default_factory=lambda: defaultdict(list))
    arms: dict[str, dict[str, list[str]]] = field(default_factory=lambda: defaultdict(dict))
    items: dict[str, list[tuple[int, float]]] = field(default_factory=lambda: defaultdict(list))
    revenue: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    assigned: dict[str, tuple[str, int]] = field(default_factory=dict)
    contaminated: set[str] = field(default_factory=set)
    facts: Counter[str] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)

    def trigger(self, name: str, channel: str, data: Mapping[str, Any], written_at: int) -> None:
        """A record of `triggers.<channel>`; one that comes twice is one."""
        items = tuple(data["payload"]["items"])
        item = str((data.get("about") or {}).get("item", ""))
        said = Said(
            id=name,
            customer=data["customer"],
            scenario=data["scenario"],
            channel=channel,
            items=items,
            item=item,
            evidence=tuple(data.get("evidence") or ()),
            written_at=written_at,
        )
        if all(each != said for each in self.said[name]):
            self.said[name].append(said)

    def suppression(self, name: str, data: Mapping[str, Any]) -> None:
        """A record of `suppressions`; one that comes twice is one."""
        self.unsaid[name] = (data["suppressed_by"], data.get("retry_at"))

    def item(self, data: Mapping[str, Any], written_at: int) -> None:
        """A record of `catalogue` about an item. Stock that is not counted is without end."""
        stock = data.get("stock")
        there = float("inf") if stock is None else float(stock)
        active = data.get("active", True)
        self.items[data["item"]].append((written_at, there if active else 0.0))

    def event(self, fact: Mapping[str, Any], written_at: int, partition: int = 0) -> None:
        """A record of `events`, those of a partition in their order."""
        kind, customer = fact["type"], fact.get("customer")
        self.facts[kind] += 1
        if customer is None:
            return
        if kind == "message_decided":
            self._verdict(fact, customer, written_at, partition)
        elif kind == "arm_assigned":
            self._arm(customer, fact["experiment"], fact["arm"], fact["occurred_at"])
        elif kind in _NOTED:
            self._enter(customer, kind, fact, written_at)

    def _verdict(
        self, fact: Mapping[str, Any], customer: str, written_at: int, partition: int
    ) -> None:
        if fact["event_id"] in self.ids:
            return
        self.ids.add(fact["event_id"])
        self.verdicts.append(
            Verdict(
                fact=fact["event_id"],
                trigger=fact["trigger_id"],
                customer=customer,
                scenario=fact["scenario"],
                channel=fact["channel"],
                verdict=fact["verdict"],
                reason=fact["reason"],
                at=fact["occurred_at"],
                decided_at=self.real(fact["occurred_at"]),
                seen=len(self.diaries[customer]),
                attempt=fact.get("attempt", 1),
                retry_at=fact.get("retry_at"),
                expires_at=fact.get("expires_at"),
                written_at=written_at,
                partition=partition,
            )
        )

    def _arm(self, customer: str, experiment: str, arm: str, at: int) -> None:
        if experiment == "contaminated":
            self.contaminated.add(customer)
            return
        self.arms[customer].setdefault(experiment, []).append(arm)
        if experiment == "holdout":
            self.assigned.setdefault(customer, (arm, at))

    def _enter(self, customer: str, kind: str, fact: Mapping[str, Any], written_at: int) -> None:
        at = fact["occurred_at"]
        if kind == "purchased" and fact["event_id"] not in self.ids:
            self.ids.add(fact["event_id"])
            self.revenue[customer].append((at, fact["total"]))
        body = {name: fact[name] for name in _NOTED[kind] if name in fact}
        self.diaries[customer].append(Entry(fact["event_id"], kind, at, written_at, body))


_NOTED: Final[Mapping[str, Iterable[str]]] = {
    "item_viewed": ("item",),
    "cart_added": ("item",),
    "cart_removed": ("item",),
    "wishlist_added": ("item",),
    "purchased": ("lines",),
    "traits_set": ("traits",),
    "identified": ("traits",),
    "consent_changed": ("purpose", "channel", "granted"),
    "message_unsubscribed": ("channel",),
    "profiling_paused": ("paused",),
}
