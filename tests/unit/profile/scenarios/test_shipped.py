"""The shipped scenarios, each by stories: one in which its moment comes, and some in which not."""

import pytest

from services.profile.component import Component
from services.profile.moments.around import Around, ItemMoved
from services.profile.moments.context import MomentContext
from services.profile.moments.waiting import Waiting
from services.profile.prediction import Lifetime
from services.profile.scenarios.beginnings import TIMERS
from services.profile.scenarios.book import OnFact, OnItem, OnTimer
from services.profile.state import Profile
from services.profile.timers.next_times import TIMERS as NAMED_TIMERS
from shared import events as facts
from shared.catalogue import ItemChanged
from tests.unit.profile.builders import DAY, HOUR, NOW, base
from tests.unit.profile.scenarios.stories import (
    BOOK,
    CATALOGUE,
    LAMP,
    Story,
    bought,
    carted,
    entered,
    fires,
    folded,
    item_of,
    left,
    moved,
    orders,
    refunded,
    said,
    staged,
    told,
    viewed,
    wished,
)

OTHERS = frozenset(["needs_care"])


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


def test_discounts_are_no_birthday_presents_and_surprises_are_rare() -> None:
    for scenario in BOOK.scenarios:
        if "greeting" in scenario.tags:
            assert scenario.payload is None
            assert not scenario.tags & {"discount", "surprise"}
    tagged = {budget.tag: budget for budget in BOOK.policy.budgets if budget.tag}
    assert tagged["surprise"].window_ms == 90 * DAY
    assert tagged["surprise"].messages == 1
