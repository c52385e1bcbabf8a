"""The shipped scenarios, each by stories: one in which its moment comes, and some in which not."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from services.profile.component import Component
from services.profile.contact import Sent
from services.profile.fold import fold
from services.profile.moments.around import Around, ItemMoved
from services.profile.moments.context import MomentContext
from services.profile.moments.waiting import Waiting, item_cause
from services.profile.prediction import Lifetime
from services.profile.registers import Trait
from services.profile.scenarios.beginnings import TIMERS
from services.profile.scenarios.book import OnFact, OnItem, OnTimer, Scenario
from services.profile.scenarios.holding import SHIPPED, load
from services.profile.state import Profile
from services.profile.timers.next_times import TIMERS as NAMED_TIMERS
from shared import events as facts
from shared.catalogue import ItemChanged
from tests.unit.profile.builders import DAY, HOUR, NOW, base

BOOK = load(SHIPPED)
LAMP = ItemChanged(item="lamp", price=5_000, stock=5)
CATALOGUE = {"lamp": LAMP, "sofa": ItemChanged(item="sofa", price=90_000, stock=0)}
OTHERS = frozenset(["needs_care"])


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


CART = Story(carted())
CHECKOUT = Story(facts.CheckoutStarted(**base(1), total=9_000, currency="EUR"))
BROWSE = Story(viewed(), [viewed(number=n) for n in range(3)])
WISH = Story(wished())
BACK = Story(moved(LAMP, price=5_000, stock=0), [wished(3)])
DROP = Story(moved(LAMP, price=6_000, stock=5), [viewed(3)])
FIRST = Story(bought())
HOME = Story(told(facts.OrderDelivered), [bought(3)])
LATE = Story(told(facts.OrderDelayed), [bought(3)])
REGULAR = Story("", [*orders(4), viewed(5)])
SAVED = facts.OccasionSaved(**base(1), name="mum", month=5, day=3, relation="mother")
VIP = Story(told(facts.OrderDelivered), [bought(3)], segments=frozenset(["vip"]))
SERVICE = Story(bought(), segments=frozenset(["vip"]))
SORRY = OTHERS | {"vip"}

STORIES: dict[str, tuple[Story, list[Story]]] = {
    "cart_abandoned": (
        CART,
        [
            Story(carted(item="sofa")),
            CART.but(meanwhile=[bought(item="lamp")]),
            CART.but(items={"lamp": ItemChanged(item="lamp", active=False)}),
            CART.but(segments=OTHERS),
        ],
    ),
    "checkout_abandoned": (
        CHECKOUT,
        [CHECKOUT.but(meanwhile=[bought(-0.01)]), CHECKOUT.but(segments=OTHERS)],
    ),
    "browse_abandoned": (
        BROWSE,
        [
            Story(viewed()),
            BROWSE.but(before=[*BROWSE.before, carted(item="mug")]),
            BROWSE.but(before=[*BROWSE.before, bought(2, "lamp")]),
            BROWSE.but(meanwhile=[viewed(-0.2)]),
            BROWSE.but(items={}),
        ],
    ),
    "wishlist_reminder": (
        WISH,
        [
            WISH.but(meanwhile=[facts.WishlistRemoved(**base(9, NOW + HOUR), item="lamp")]),
            WISH.but(meanwhile=[bought(-2, "lamp")]),
            WISH.but(meanwhile=[viewed(-13.5)]),
            WISH.but(items={"lamp": ItemChanged(item="lamp", stock=0)}),
        ],
    ),
    "back_in_stock": (
        BACK,
        [
            BACK.but(begins=moved(LAMP, price=5_000, stock=2)),
            BACK.but(begins=moved(CATALOGUE["sofa"], stock=0)),
            BACK.but(meanwhile=[bought(0, "lamp")]),
        ],
    ),
    "price_drop": (
        DROP,
        [
            DROP.but(begins=moved(LAMP, price=5_100)),
            DROP.but(begins=moved(LAMP, price=4_000)),
            # The price has gone up again meanwhile, or the last one was sold.
            DROP.but(items={"lamp": ItemChanged(item="lamp", price=5_900, stock=5)}),
            DROP.but(items={"lamp": ItemChanged(item="lamp", price=5_000, stock=0)}),
            DROP.but(meanwhile=[bought(0, "lamp")]),
        ],
    ),
    "first_purchase_thanks": (
        FIRST,
        [FIRST.but(before=[bought(9)]), FIRST.but(meanwhile=[refunded()])],
    ),
    "post_purchase_care": (
        HOME,
        [HOME.but(meanwhile=[refunded()]), HOME.but(segments=OTHERS)],
    ),
    "complete_the_set": (
        FIRST,
        [
            FIRST.but(meanwhile=[carted()]),
            FIRST.but(meanwhile=[refunded()]),
            FIRST.but(
                begins=facts.Purchased(
                    **base(),
                    order="o",
                    lines=[facts.Line(item="x", quantity=4)],
                    total=1,
                    currency="EUR",
                )
            ),
        ],
    ),
    "review_request": (
        HOME,
        [
            HOME.but(meanwhile=[facts.ItemRated(**base(1, NOW + DAY), item="mug", rating=5)]),
            HOME.but(meanwhile=[refunded()]),
        ],
    ),
    "order_delayed": (LATE, [LATE.but(meanwhile=[told(facts.OrderDelivered, -0.01)])]),
    "replenishment_due": (
        Story("lamp"),
        [Story("sofa"), Story("lamp", [carted()]), Story("gone")],
    ),
    "next_purchase_expected": (
        REGULAR,
        [
            REGULAR.but(before=orders(2)),
            REGULAR.but(before=[*REGULAR.before, carted()]),
            REGULAR.but(meanwhile=[viewed()]),
        ],
    ),
    "churn_risk": (
        REGULAR.but(before=orders(4, 400, 100)),
        [
            REGULAR,
            REGULAR.but(before=[bought(100)]),
            REGULAR.but(before=orders(4, 400, 100), ignored=3),
        ],
    ),
    "win_back": (
        Story("", [bought(200)]),
        [Story("", [viewed(200)]), Story("", [bought(200)], ignored=3)],
    ),
    "birthday": (Story("", [bought(200)]), [Story("", [viewed(2)]), Story("", [bought(400)])]),
    "occasion_of_relatives": (Story("", [SAVED], subject="mum"), [Story("")]),
    "first_order_anniversary": (
        Story("", orders(3, 365, 100)),
        [Story("", orders(3, 90, 10)), Story("", orders(3, 365, 200)), Story("", [bought(365)])],
    ),
    "milestone": (
        Story(bought(), orders(9)),
        [Story(bought(), orders(8)), Story(bought(), orders(9), [refunded()])],
    ),
    "gold_tier": (
        Story(entered("gold"), segments=frozenset(["gold"])),
        [Story(entered("vip"), segments=frozenset(["gold"])), Story(entered("gold"))],
    ),
    "surprise_bonus": (
        VIP,
        [
            VIP.but(segments=frozenset()),
            VIP.but(segments=SORRY),
            VIP.but(traits={"had_surprise": True}),
            VIP.but(meanwhile=[carted()]),
        ],
    ),
    "surprise_service": (
        SERVICE,
        [
            SERVICE.but(segments=frozenset()),
            SERVICE.but(traits={"used_gift_wrapping": True}),
            SERVICE.but(meanwhile=[told(facts.OrderShipped, -0.01)]),
        ],
    ),
    "vip_welcome": (
        Story(entered("vip"), segments=frozenset(["vip"])),
        [Story(entered("gold"), segments=frozenset(["vip"])), Story(entered("vip"))],
    ),
    "vip_left": (
        Story(left("vip")),
        [Story(left("gold")), Story(left("vip"), segments=frozenset(["vip"]))],
    ),
    "onboarding_begun": (
        Story(staged("onboarding"), stage="onboarding"),
        [Story(staged("buying"), stage="onboarding"), Story(staged("onboarding"), stage="loyal")],
    ),
    "stage_at_risk": (
        Story(staged("at_risk", "loyal"), stage="at_risk"),
        [
            Story(staged("at_risk", "buying"), stage="at_risk"),
            Story(staged("at_risk", "loyal"), stage="loyal"),
            Story(staged("at_risk", "loyal"), stage="at_risk", ignored=3),
        ],
    ),
    "feedback_recovery": (
        Story(said("nps", 6)),
        [Story(said("nps", 7)), Story(said("csat", 3)), Story(said("ces", 5))],
    ),
    "promoter_referral": (
        Story(said("nps", 9), orders(2)),
        [
            Story(said("nps", 9)),
            Story(said("csat", 9), orders(2)),
            Story(said("nps", 9), orders(2), [said("nps", 2, -0.5)]),
        ],
    ),
}


@pytest.mark.parametrize("name", sorted(STORIES))
def test_its_moment_comes(name: str) -> None:
    assert fires(name, STORIES[name][0])


@pytest.mark.parametrize(
    ("name", "story"),
    [(name, story) for name, (_, silent) in sorted(STORIES.items()) for story in silent],
)
def test_its_moment_does_not_come(name: str, story: Story) -> None:
    assert not fires(name, story)


def test_every_scenario_has_its_stories_of_its_own_kind() -> None:
    assert set(STORIES) == set(BOOK.by_name)
    for name, (story, _) in STORIES.items():
        on = BOOK.by_name[name].on
        match on:
            case OnFact():
                assert facts.fact_type(story.begins) == on.fact  # type: ignore[arg-type]
            case OnItem():
                assert isinstance(story.begins, ItemMoved)
            case OnTimer():
                assert isinstance(story.begins, str)


def test_all_named_timers_can_be_named_in_the_file() -> None:
    assert set(TIMERS) == set(NAMED_TIMERS)


def test_every_moment_is_worth_something_where_it_comes() -> None:
    worthless = []
    for name, (story, _) in STORIES.items():
        scenario = BOOK.by_name[name]
        component = folded(Component(), [*story.before, *orders(3)])
        if isinstance(story.begins, facts.Fact):
            folded(component, [story.begins])
        around = Around(items=CATALOGUE, predict=Lifetime().predict)
        waiting = Waiting(NOW, name, "x", NOW, item=item_of(story.begins) or "lamp")
        context = MomentContext(Profile(component=component), around, NOW, waiting=waiting)
        if scenario.value is None or scenario.value.amount(context) <= 0:
            worthless.append(name)
    assert worthless == []


@pytest.mark.parametrize(
    ("stage", "history"),
    [
        ("lost", [bought(400)]),
        ("lost", [viewed(200)]),
        ("at_risk", orders(6, 500, 130)),
        ("loyal", orders(4, 90, 10)),
        ("onboarding", [bought(10)]),
        ("buying", [bought(60)]),
        ("buying", [carted()]),
        ("considering", [wished(40)]),
        ("considering", [viewed(number=n) for n in range(3)]),
        ("aware", [viewed()]),
    ],
)
def test_the_first_stage_that_holds(stage: str, history: list[facts.AnyFact]) -> None:
    context = MomentContext(Profile(component=folded(Component(), history)), Around(), NOW)
    assert next(each.name for each in BOOK.stages if each.when.holds(context)) == stage


@pytest.mark.parametrize(
    ("segment", "inside", "outside"),
    [
        ("vip", orders(5), orders(4)),
        ("vip", orders(5), orders(5, 400, 100)),
        ("gold", orders(3), [bought(5)]),
        ("needs_care", [said("nps", 5)], [said("nps", 5, 20)]),
        ("needs_care", [said("csat", 1)], [said("csat", 4)]),
        (
            "needs_care",
            [facts.SupportContacted(**base())],
            [facts.SupportContacted(**base(at=NOW - 4 * DAY))],
        ),
    ],
)
def test_who_belongs_to_a_segment(
    segment: str, inside: list[facts.AnyFact], outside: list[facts.AnyFact]
) -> None:
    (rule,) = (each for each in BOOK.segments if each.name == segment)
    for history, expected in ((inside, True), (outside, False)):
        context = MomentContext(Profile(component=folded(Component(), history)), Around(), NOW)
        assert rule.when.holds(context) is expected


def test_discounts_are_no_birthday_presents_and_surprises_are_rare() -> None:
    for scenario in BOOK.scenarios:
        if "greeting" in scenario.tags:
            assert scenario.payload is None
            assert not scenario.tags & {"discount", "surprise"}
    tagged = {budget.tag: budget for budget in BOOK.policy.budgets if budget.tag}
    assert tagged["surprise"].window_ms == 90 * DAY
    assert tagged["surprise"].messages == 1
