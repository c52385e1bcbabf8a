"""The shipped scenarios as customers live through them: what happens is folded, moments are noted,
decided and stated, answers come back, and what was sent is what a marketing tool would get.
"""

from bisect import insort
from collections.abc import Mapping, Sequence
from itertools import count, pairwise
from typing import Any, NamedTuple

import pytest

from services.profile.moments.around import Around, ItemMoved
from services.profile.moments.due import next_due
from services.profile.moments.firing import fire
from services.profile.moments.noting import note_change
from services.profile.moments.stating import state
from services.profile.prediction import Lifetime
from services.profile.scenarios.holding import SHIPPED, load
from shared import events as facts
from shared.catalogue import ItemChanged
from shared.lifetime import BuyingRate, Lifetimes
from shared.triggers import Payload, Trigger, decode
from tests.unit.profile.builders import DAY, HOUR, NOW
from tests.unit.profile.moments.books import Customer

BOOK = load(SHIPPED)
LAMP = ItemChanged(item="lamp", price=5_000, stock=5, title="A lamp")
MUG = ItemChanged(item="mug", price=1_500, stock=9)
LIFETIME = Lifetime(Lifetimes(rate=BuyingRate(r=0.8, alpha=20.0, a=0.8, b=2.5)))
RECOMMENDED = Payload(items=["mug", "rug"], recommendation="r-1")
REFILL: Mapping[str, float] = {"coffee": 30.0}
AROUND = Around(
    items={"lamp": LAMP, "mug": MUG, "coffee": ItemChanged(item="coffee", price=900)},
    predict=LIFETIME.predict,
    refill_days=REFILL.get,
)

What = type[facts.Fact] | ItemMoved
Step = tuple[float, What, dict[str, Any]]
"""When it happens, in days from NOW (9 o'clock, Thursday); what; its fields, or for whom."""


def happens(days: float, what: What, **fields: Any) -> Step:
    return days, what, fields


def orders(number: int, *, last: float = 0, every: float = 15, total: int = 20_000) -> list[Step]:
    return [
        happens(
            last - every * (number - 1 - n),
            facts.Purchased,
            order=f"o{n}",
            lines=[facts.Line(item="vase")],
            total=total,
            currency="EUR",
        )
        for n in range(number)
    ]


class Message(NamedTuple):
    at: int
    trigger: Trigger


class Life(Customer):
    """A customer who opens what comes, an hour later; what was sent."""

    def __init__(self, *, answers: bool = True, around: Around = AROUND) -> None:
        super().__init__(BOOK, around=around)
        self.answers = answers
        self.sent: list[Message] = []
        self.numbers = count()
        self.to_come: list[tuple[int, int, What, dict[str, Any]]] = []

    def live(self, steps: Sequence[Step], until: float) -> "Life":
        for days, what, fields in steps:
            self.plan(NOW + int(days * DAY), what, fields)
        end = NOW + int(until * DAY)
        while True:
            due = next_due(self.identity)
            first = self.to_come[0][0] if self.to_come else end
            if due is not None and due < min(first, end):
                self.decide(due)
            elif self.to_come and first <= end:
                at, _, what, fields = self.to_come.pop(0)
                self.meet(at, what, fields)
            else:
                return self

    def plan(self, at: int, what: What, fields: dict[str, Any]) -> None:
        insort(self.to_come, (at, next(self.numbers), what, fields), key=lambda each: each[:2])

    def meet(self, at: int, what: What, fields: dict[str, Any]) -> None:
        if isinstance(what, ItemMoved):
            note_change(self.identity, what, fields["interest"], BOOK, AROUND)
            return
        who = {"customer": "alice", "occurred_at": at, "received_at": at}
        self.fold(what(event_id=f"e{next(self.numbers)}", **who, **fields), now=at)  # type: ignore[arg-type]
        self.fold_outbox()

    def decide(self, now: int) -> None:
        fired = fire(self.identity, self.rules, now)
        made = fired.decisions.made
        wanted = {each.trigger_id for each in made if each.scenario and each.scenario.payload}
        state(self.identity, made, dict.fromkeys(wanted, RECOMMENDED), *self.rules, now)
        for fact in self.fold_outbox():
            if isinstance(fact, facts.MessageDecided) and fact.verdict == "send":
                trigger = decode(fact.trigger)
                self.sent.append(Message(now, trigger))
                if self.answers:
                    answer = {"message": trigger.decision_id, "channel": trigger.channel}
                    self.plan(now + HOUR, facts.MessageOpened, answer)


class Story(NamedTuple):
    """steps: what happens; comes: days from NOW when the message comes, give or take an hour;
    about: what the trigger says of the moment; first: the items that it names first."""

    steps: list[Step]
    comes: float
    about: dict[str, Any] = {}
    first: list[str] = []


def changes(now: ItemChanged, days: float, interest: str, **before: Any) -> Step:
    changed = ItemChanged(
        item=now.item, price=now.price, stock=now.stock, changed_at=NOW + int(days * DAY)
    )
    what = ItemMoved(changed, ItemChanged(item=now.item, **before))
    return happens(days, what, interest=frozenset([interest]))


SOON = 1 / 24
BORN = {"birthday": "1990-10-20", "timezone": "Asia/Tokyo"}
CARTED = happens(0, facts.CartAdded, item="lamp")
VIEWS = [happens(-n / 1_000, facts.ItemViewed, item="lamp") for n in range(4)]
WISHED = happens(-3, facts.WishlistAdded, item="lamp")
BACK = changes(LAMP, 0, "wished", price=5_000, stock=0)
DROP = changes(LAMP, 0, "viewed", price=6_000, stock=5)
HOME = happens(0, facts.OrderDelivered, order="o0")
NOT_BEFORE = 23 * SOON  # 8 o'clock, when the night is over
REGULAR = orders(5, last=-20)

STORIES: dict[str, Story] = {
    "cart_abandoned": Story([CARTED], SOON, {"item": "lamp", "price": 5_000}, ["lamp"]),
    "checkout_abandoned": Story(
        [
            happens(-0.01, facts.CartAdded, item="lamp"),
            happens(0, facts.CheckoutStarted, total=9_000, currency="EUR"),
        ],
        SOON / 2,
        {"item": "lamp"},
        ["lamp"],
    ),
    "browse_abandoned": Story(VIEWS, 5 * SOON, {"item": "lamp", "title": "A lamp"}, ["lamp"]),
    "wishlist_reminder": Story([WISHED], 11, {"item": "lamp"}, ["lamp"]),
    "back_in_stock": Story([WISHED, BACK], 0, {"item": "lamp"}, ["lamp"]),
    "price_drop": Story(
        [happens(-3, facts.ItemViewed, item="lamp"), DROP],
        SOON / 6,
        {"item": "lamp", "price": 5_000, "previous_price": 6_000},
        ["lamp"],
    ),
    "first_purchase_thanks": Story(orders(1), NOT_BEFORE, {"order": "o0"}),
    "post_purchase_care": Story([*orders(1, last=-3), HOME], 2, {"order": "o0"}),
    "complete_the_set": Story(orders(1), 10, {"order": "o0"}, ["mug"]),
    "review_request": Story([*orders(1, last=-3), HOME], 12, {"order": "o0"}),
    "order_delayed": Story(
        [*orders(1, last=-3), happens(0.1, facts.OrderDelayed, order="o0")], 0.1, {"order": "o0"}
    ),
    "replenishment_due": Story(
        [
            happens(
                0,
                facts.Purchased,
                order="o0",
                lines=[facts.Line(item="coffee")],
                total=900,
                currency="EUR",
            )
        ],
        27 + SOON,
        {"item": "coffee", "timer": "replenishment"},
        ["coffee"],
    ),
    "next_purchase_expected": Story(orders(4, every=40), 35 + SOON, {"timer": "next_purchase"}),
    "churn_risk": Story(orders(3), 35 + SOON, {"timer": "churn_risk"}, ["mug"]),
    "win_back": Story(orders(1, last=-2), 188 + SOON, {"timer": "inactive"}, ["mug"]),
    "birthday": Story(
        [
            *orders(2, last=-100),
            happens(
                -3, facts.TraitsSet, traits={"birthday": "1990-10-20", "timezone": "Asia/Tokyo"}
            ),
        ],
        10 + 15 * SOON,
        {"timer": "birthday"},
    ),
    "occasion_of_relatives": Story(
        [happens(0, facts.OccasionSaved, name="mum", month=11, day=20, relation="mother")],
        32 + SOON,
        {"occasion": "mum", "relation": "mother"},
        ["mug"],
    ),
    "first_order_anniversary": Story(
        orders(4, last=-100, every=80), 25 + SOON, {"timer": "anniversary", "years": 1}
    ),
    "milestone": Story(orders(10), 1, {"order": "o9"}),
    "gold_tier": Story(orders(3), SOON, {"segment": "gold"}),
    "surprise_bonus": Story([*REGULAR, happens(-1, facts.OrderDelivered, order="o4")], 3),
    "surprise_service": Story(orders(6), 2 * SOON, {"order": "o5"}),
    "vip_welcome": Story(orders(5), 2 * SOON, {"segment": "vip"}),
    "vip_left": Story(orders(5), 97, {"segment": "vip"}, ["mug"]),
    "onboarding_begun": Story(orders(1), 5, {"stage": "onboarding"}),
    "stage_at_risk": Story(orders(4), 121, {"stage": "at_risk"}, ["mug"]),
    "feedback_recovery": Story([happens(0, facts.FeedbackGiven, kind="nps", score=2)], SOON / 4),
    "promoter_referral": Story(
        [*orders(2, last=-20), happens(0, facts.FeedbackGiven, kind="nps", score=10)], 1
    ),
}


def bought_it(days: float) -> Step:
    return happens(
        days,
        facts.Purchased,
        order="later",
        lines=[facts.Line(item="lamp")],
        total=5_000,
        currency="EUR",
    )


def denied(purpose: str) -> Step:
    return happens(-0.5, facts.ConsentChanged, purpose=purpose, granted=False)


def test_every_scenario_has_its_story() -> None:
    assert set(STORIES) == set(BOOK.by_name)


@pytest.mark.parametrize("name", sorted(STORIES))
def test_its_message_comes_when_it_should_and_says_what_it_is_about(name: str) -> None:
    story, scenario = STORIES[name], BOOK.by_name[name]
    life = Life().live(story.steps, story.comes + 10)
    found = [each for each in life.sent if each.trigger.scenario == name and each.at >= NOW]
    assert found, [(each.trigger.scenario, (each.at - NOW) / DAY) for each in life.sent]
    at, trigger = found[0]
    assert (at - NOW) / DAY == pytest.approx(story.comes, abs=SOON)
    assert (trigger.customer, trigger.version) == ("alice", "shipped-1")
    assert trigger.channel in scenario.channels
    assert (trigger.style, trigger.purpose) == (scenario.style, scenario.purpose)
    assert trigger.about.items() >= story.about.items()
    assert trigger.evidence
    assert at < trigger.expires_at
    offered = RECOMMENDED.items if scenario.payload else []
    assert trigger.payload.items[: len(story.first)] == story.first
    assert set(offered) <= set(trigger.payload.items)


@pytest.mark.parametrize("name", sorted(STORIES))
def test_all_that_comes_along_keeps_to_the_policy(name: str) -> None:
    story = STORIES[name]
    life = Life(answers=False).live(story.steps, story.comes + 30)
    bound = [each for each in life.sent if each.trigger.purpose != "service"]
    for one, other in pairwise(bound):
        assert other.at - one.at >= DAY
    for each in life.sent:
        hour = each.at // HOUR % 24
        hour = (hour + 9) % 24 if name == "birthday" else hour
        assert 8 <= hour < 21
        if "greeting" in each.trigger.tags:
            assert each.trigger.payload == Payload()
    for each in bound[7:]:
        week = [other for other in bound if each.at - 7 * DAY < other.at <= each.at]
        assert len(week) <= 3


@pytest.mark.parametrize(
    ("name", "since"),
    [
        ("cart_abandoned", bought_it(0.02)),
        ("cart_abandoned", happens(0.02, facts.CartRemoved, item="lamp")),
        ("checkout_abandoned", bought_it(0.01)),
        ("browse_abandoned", bought_it(0.1)),
        ("wishlist_reminder", bought_it(5)),
        ("wishlist_reminder", happens(5, facts.WishlistRemoved, item="lamp")),
        ("back_in_stock", bought_it(-1)),
        ("price_drop", bought_it(0.001)),
        (
            "first_purchase_thanks",
            happens(0.1, facts.Refunded, order="o0", total=1, currency="EUR"),
        ),
        ("review_request", happens(11, facts.SupportContacted)),
        ("order_delayed", happens(0.05, facts.ProfilingPaused)),
        ("churn_risk", happens(30, facts.ItemViewed, item="mug")),
        ("win_back", bought_it(100)),
        ("birthday", denied("care")),
        ("price_drop", denied("marketing")),
        ("promoter_referral", happens(0.5, facts.FeedbackGiven, kind="nps", score=3)),
        ("surprise_bonus", happens(1, facts.SupportContacted)),
    ],
)
def test_what_has_changed_meanwhile_is_not_talked_over(name: str, since: Step) -> None:
    story = STORIES[name]
    life = Life().live([*story.steps, since], story.comes + 2)
    said = any(each.trigger.scenario == name for each in life.sent)
    # A delayed order is told also to who does not want to be profiled: it is a service.
    assert said is (name == "order_delayed")


def test_who_reads_nothing_hears_less_and_less() -> None:
    def sent(*, answers: bool) -> int:
        steps = [
            happens(days + part / 1_000, facts.ItemViewed, item="lamp")
            for days in range(0, 120, 2)
            for part in range(4)
        ]
        return len(Life(answers=answers).live(steps, 125).sent)

    assert 0 < sent(answers=False) < sent(answers=True)


def test_a_cart_is_remembered_also_where_the_shop_keeps_no_catalogue_here() -> None:
    life = Life(around=Around()).live([CARTED], 1)
    assert [each.trigger.scenario for each in life.sent] == ["cart_abandoned"]
    assert life.sent[0].trigger.payload.items[:1] == ["lamp"]
