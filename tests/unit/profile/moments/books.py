"""Books made by hand, and customers who fold facts by them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from services.profile.arbiter.policy import Basis, Policy
from services.profile.batch import Effects, fold_identity
from services.profile.identity import Delivery, Identity
from services.profile.moments.around import Around
from services.profile.moments.rules import Rules
from services.profile.scenarios.book import Book, OnFact, OnItem, OnTimer, Scenario, Segment
from services.profile.view import cart_items
from shared import events as facts
from tests.unit.profile.builders import DAY, HOUR

POLICY = Policy(
    bases={"marketing": Basis(name="consent"), "service": Basis(name="contract", consent=False)},
    transactional=frozenset({"service"}),
)


@dataclass(frozen=True)
class When:
    """A condition that is a function of the context."""

    holds: Callable[[Any], bool]
    text: str = "test"
    variables: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Value:
    """A worth that is always the same."""

    worth: float
    text: str = "test"
    variables: frozenset[str] = frozenset()

    def amount(self, context: object) -> float:
        return self.worth


HAS_CART = When(lambda context: bool(cart_items(context.profile.component)))
NEVER = When(lambda context: False)


def scenario(name: str = "cart_abandoned", on: Any = None, **fields: Any) -> Scenario:
    made: dict[str, Any] = {
        "on": on or OnFact(fact="cart_added"),
        "purpose": "marketing",
        "channels": ("email",),
        "after_ms": HOUR,
        "life_ms": DAY,
        **fields,
    }
    return Scenario(name=name, **made)


CART = scenario(when=HAS_CART, recheck=HAS_CART)


def book(
    *scenarios: Scenario,
    policy: Policy = POLICY,
    segments: Iterable[Segment] = (),
    stages: Iterable[Segment] = (),
) -> Book:
    by_fact: dict[str, tuple[Scenario, ...]] = {}
    for each in scenarios:
        if isinstance(each.on, OnFact):
            by_fact[each.on.fact] = (*by_fact.get(each.on.fact, ()), each)
    return Book(
        version="test-1",
        policy=policy,
        scenarios=scenarios,
        by_fact=by_fact,
        by_name={each.name: each for each in scenarios},
        on_items=tuple(each for each in scenarios if isinstance(each.on, OnItem)),
        on_timers=tuple(each for each in scenarios if isinstance(each.on, OnTimer)),
        segments=tuple(segments),
        stages=tuple(stages),
    )


DELAY_MS = CART.after_ms
LIFETIME_MS = CART.life_ms


class Customer:
    """One identity that folds facts by rules, as a live worker has it do."""

    def __init__(self, book: Book, key: str = "c:alice", around: Around | None = None) -> None:
        self.identity = Identity(key)
        self.rules = Rules(book, around or Around())
        self.log: list[facts.AnyFact] = []

    def fold(self, *sequence: facts.AnyFact, now: int | None = None) -> Effects:
        first = len(self.log)
        self.log += sequence
        deliveries = [Delivery(fact, 0, first + n) for n, fact in enumerate(sequence)]
        return fold_identity(self.identity, deliveries, self.rules, now)

    def fold_outbox(self) -> list[facts.AnyFact]:
        """What was stated comes back from the log, read to its end."""
        stated = [facts.decode(entry.value) for entry in self.identity.outbox]
        for fact in stated:
            self.fold(fact, now=fact.occurred_at)
        return stated

    @property
    def waiting(self) -> list[tuple[str, int, str]]:
        return [(each.scenario, each.due, each.cause) for each in self.identity.waiting]


RULES = Rules(book(CART), Around())
"""One scenario: a cart left alone for an hour."""


def cart_rules() -> Rules:
    return RULES
