"""What happened to a customer, and whether the moment of a shipped scenario comes of it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from services.profile.component import Component
from services.profile.contact import Sent
from services.profile.fold import fold
from services.profile.moments.around import Around, ItemMoved
from services.profile.moments.context import MomentContext
from services.profile.moments.waiting import Waiting, item_cause
from services.profile.prediction import Lifetime
from services.profile.registers import Trait
from services.profile.scenarios.book import Scenario
from services.profile.scenarios.holding import SHIPPED, load
from services.profile.state import Profile
from shared import events as facts
from shared.catalogue import ItemChanged
from tests.unit.profile.builders import DAY, NOW, base

BOOK = load(SHIPPED)


LAMP = ItemChanged(item="lamp", price=5_000, stock=5)


CATALOGUE = {"lamp": LAMP, "sofa": ItemChanged(item="sofa", price=90_000, stock=0)}


class Story(NamedTuple):
    """before: what happened so far; begins: the fact, the change or the item a timer is about;
    meanwhile: what happens until it is due; the rest: how the customer stands."""

    begins: facts.AnyFact | ItemMoved | str
    before: Sequence[facts.AnyFact] = ()
    meanwhile: Sequence[facts.AnyFact] = ()
    segments: frozenset[str] = frozenset()
    stage: str = ""
    ignored: int = 0
    traits: dict[str, Any] = {}
    items: dict[str, ItemChanged] = CATALOGUE
    subject: str = ""

    def but(self, **changes: Any) -> "Story":
        return self._replace(**changes)


def fires(name: str, story: Story) -> bool:
    """Whether the moment begins, and still holds when it is due."""
    scenario, begins = BOOK.by_name[name], story.begins
    fact = begins if isinstance(begins, facts.Fact) else None
    component = folded(Component(), story.before)
    if fact is not None:
        folded(component, [fact])
    profile = Profile(component=component)
    profile.contact.segments = dict.fromkeys(story.segments, NOW - DAY)
    profile.contact.stage = story.stage
    profile.contact.sent = [Sent(NOW - n * DAY, str(n), "email", "x") for n in range(story.ignored)]
    for trait, value in story.traits.items():
        component.traits[trait] = Trait(NOW - DAY, 0, value)
    moved = begins if isinstance(begins, ItemMoved) else None
    around = Around(items=story.items, predict=Lifetime().predict)
    if not asked(scenario, MomentContext(profile, around, NOW, fact=fact, moved=moved), begin=True):
        return False
    folded(component, story.meanwhile)
    due = NOW + scenario.after_ms
    waiting = Waiting(due, name, cause_of(begins), NOW, subject_of(story), item_of(begins))
    return asked(scenario, MomentContext(profile, around, due, waiting=waiting), begin=False)


def asked(scenario: Scenario, context: MomentContext, *, begin: bool) -> bool:
    condition = scenario.when if begin else scenario.recheck
    return condition is None or condition.holds(context)


def folded(component: Component, sequence: Sequence[facts.AnyFact]) -> Component:
    for fact in sequence:
        fold(component, fact, 0, authenticated=True)
    return component


def cause_of(begins: facts.AnyFact | ItemMoved | str) -> str:
    if isinstance(begins, ItemMoved):
        return item_cause(begins)
    return begins.event_id if isinstance(begins, facts.Fact) else "timer:any:1"


def item_of(begins: facts.AnyFact | ItemMoved | str) -> str:
    if isinstance(begins, ItemMoved):
        return begins.item.item
    return begins if isinstance(begins, str) else getattr(begins, "item", "")


def subject_of(story: Story) -> str:
    return story.subject or getattr(story.begins, "order", "")


def viewed(days: float = 0, item: str = "lamp", number: int = 0) -> facts.ItemViewed:
    return facts.ItemViewed(**base(number, NOW - int(days * DAY)), item=item, price=5_000)


def carted(days: float = 0, item: str = "lamp") -> facts.CartAdded:
    return facts.CartAdded(**base(1, NOW - int(days * DAY)), item=item)


def wished(days: float = 0) -> facts.WishlistAdded:
    return facts.WishlistAdded(**base(2, NOW - int(days * DAY)), item="lamp")


def bought(days: float = 0, item: str = "mug", total: int = 20_000) -> facts.Purchased:
    lines = [facts.Line(item=item)]
    return facts.Purchased(
        **base(3, NOW - int(days * DAY)), order="o1", lines=lines, total=total, currency="EUR"
    )


def refunded(days: float = 0) -> facts.Refunded:
    return facts.Refunded(**base(4, NOW - int(days * DAY)), order="o1", total=1, currency="EUR")


def told(kind: type[Any], days: float = 0) -> Any:
    return kind(**base(5, NOW - int(days * DAY)), order="o1")


def said(kind: Any, score: float, days: float = 0) -> facts.FeedbackGiven:
    return facts.FeedbackGiven(**base(6, NOW - int(days * DAY)), kind=kind, score=score)


def entered(segment: str) -> facts.SegmentEntered:
    return facts.SegmentEntered(**base(7), segment=segment)


def left(segment: str) -> facts.SegmentLeft:
    return facts.SegmentLeft(**base(8), segment=segment)


def staged(stage: str, previous: str | None = None) -> facts.StageChanged:
    return facts.StageChanged(**base(9), stage=stage, previous=previous)


def orders(number: int, first: float = 50, last: float = 10) -> list[facts.AnyFact]:
    step = (first - last) / max(1, number - 1)
    return [bought(first - step * index) for index in range(number)]


def moved(now: ItemChanged, **before: Any) -> ItemMoved:
    return ItemMoved(now, ItemChanged(item="lamp", **before))
