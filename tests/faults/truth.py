"""The second witness: what the raw topics must have come to, from the plan alone. Pure.

Shares no code with ingest or the fold. An event counts once for whom it names; what an anonymous
visitor does counts for who logged in there last, as the raw topic has it, or for nobody yet.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tests.faults.plan import Plan, Planned
from tests.faults.shoppers import Step

CODES: Final = {
    "item_viewed": 1,
    "cart_added": 2,
    "cart_removed": 3,
    "purchased": 4,
    "refunded": 5,
    "offer_shown": 6,
    "offer_clicked": 7,
    "searched": 9,
    "list_viewed": 10,
    "page_viewed": 11,
    "wishlist_added": 12,
    "checkout_started": 13,
}
"""Under which numbers a profile counts types, as documented."""
COUNTERS: Final = ("views", "carts", "purchases", "shown", "clicked")
ITEM_COUNTERS: Final = {"item_viewed": 0, "cart_added": 1, "offer_shown": 3, "offer_clicked": 4}


class Raw(NamedTuple):
    """One record of a raw topic: where it lies and its number in the plan."""

    topic: str
    partition: int
    offset: int
    number: int

    @property
    def source(self) -> str:
        """As `src` names it."""
        return f"{self.topic}/{self.partition}/{self.offset}"


@dataclass(slots=True)
class Account:
    """What one identity must hold: events by type, orders, money by currency."""

    events: int = 0
    orders: int = 0
    revenue: Counter[str] = field(default_factory=Counter)
    refunded: Counter[str] = field(default_factory=Counter)
    totals: Counter[int] = field(default_factory=Counter)

    def add(self, step: Step) -> None:
        """One event, for the first and only time."""
        self.events += 1
        if step.kind in CODES:
            self.totals[CODES[step.kind]] += 1
        if step.kind == "purchased":
            self.orders += 1
            self.revenue[step.fields["currency"]] += step.fields["total"]
        elif step.kind == "refunded":
            self.refunded[step.fields["currency"]] += step.fields["total"]

    def merge(self, other: "Account") -> None:
        """Adds another account to this one."""
        self.events += other.events
        self.orders += other.orders
        self.revenue += other.revenue
        self.refunded += other.refunded
        self.totals += other.totals


@dataclass(slots=True)
class Truth:
    """What must be: accounts by identity, what each raw record must have become, items' counts.

    good: source → the identities under whose keys its fact must lie in `events`; dead: source →
    the reason it must have been refused for; distinct: good events, each counted once.
    """

    accounts: dict[str, Account] = field(default_factory=dict)
    good: dict[str, frozenset[str]] = field(default_factory=dict)
    dead: dict[str, str] = field(default_factory=dict)
    distinct: int = 0
    items: dict[str, list[int]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    """source → number of the event that it states."""


def work_out(plan: Plan, raw: Iterable[Raw], reasons: Mapping[int, str]) -> Truth:
    """The truth of a run. raw: in the order of each partition; reasons: of poison, by number."""
    truth = Truth()
    visitors: dict[str, _Visitor] = {}
    seen: set[int] = set()
    for record in raw:
        planned = plan.records[record.number]
        if planned.step is None:
            truth.dead[record.source] = reasons[record.number]
            continue
        truth.good[record.source] = _identities(planned.step)
        truth.numbers[record.source] = planned.event
        if planned.event not in seen:
            seen.add(planned.event)
            _count(truth, visitors, planned, planned.step)
    truth.distinct = len(seen)
    for anonymous, visitor in visitors.items():
        _settle(truth, f"a:{anonymous}", visitor)
    return truth


@dataclass(slots=True)
class _Visitor:
    """What happened on one anonymous id; orders lie in another topic, in no order to the rest."""

    open: Account = field(default_factory=Account)
    orders: Account = field(default_factory=Account)
    owner: str | None = None
    owners: set[str] = field(default_factory=set)


def _identities(step: Step) -> frozenset[str]:
    customer = f"c:{step.customer}"
    if step.kind == "identified" and step.customer and step.anonymous:
        return frozenset({customer, f"a:{step.anonymous}"})
    return frozenset({customer if step.customer else f"a:{step.anonymous}"})


def _count(truth: Truth, visitors: dict[str, _Visitor], planned: Planned, step: Step) -> None:
    _count_items(truth, step)
    if step.customer is not None:
        truth.accounts.setdefault(f"c:{step.customer}", Account()).add(step)
    if step.anonymous is None:
        return
    visitor = visitors.setdefault(step.anonymous, _Visitor())
    if step.customer is not None:
        if step.kind == "identified":
            visitor.owner = f"c:{step.customer}"
            visitor.owners.add(visitor.owner)
            _hand_over(truth, visitor)
    elif planned.topic == "purchases":
        visitor.orders.add(step)
    else:
        visitor.open.add(step)
        _hand_over(truth, visitor)


def _hand_over(truth: Truth, visitor: _Visitor) -> None:
    if visitor.owner is not None:
        truth.accounts.setdefault(visitor.owner, Account()).merge(visitor.open)
        visitor.open = Account()


def _settle(truth: Truth, identity: str, visitor: _Visitor) -> None:
    """Orders go to the one owner there is; what nobody logged in for stays the visitor's."""
    if visitor.orders.events and len(visitor.owners) > 1:
        raise ValueError(f"{identity} has orders and several owners: the plan is wrong")
    visitor.open.merge(visitor.orders)
    _hand_over(truth, visitor)
    truth.accounts.setdefault(identity, Account()).merge(visitor.open)


def _count_items(truth: Truth, step: Step) -> None:
    if step.kind == "purchased":
        for line in step.fields["lines"]:
            truth.items.setdefault(line["item"], [0] * len(COUNTERS))[2] += 1
    elif step.kind in ITEM_COUNTERS:
        row = truth.items.setdefault(step.fields["item"], [0] * len(COUNTERS))
        row[ITEM_COUNTERS[step.kind]] += 1
