"""What each variable says of a customer, of what happened, and of the item it is about."""

import math
from typing import Any

import pytest

from services.profile.contact import CLICKED, Sent
from services.profile.moments.around import Around, ItemMoved
from services.profile.moments.context import MomentContext
from services.profile.moments.waiting import Waiting
from services.profile.prediction import Prediction
from services.profile.scenarios.book import Scalar
from services.profile.scenarios.typed import KINDS
from services.profile.scenarios.variables import ALL, VARIABLES
from services.profile.state import Profile
from shared import events as facts
from shared.catalogue import ItemChanged
from tests.unit.profile.builders import DAY, HOUR, NOW, base, folded

ITEMS = {
    "lamp": ItemChanged(
        item="lamp",
        title="Lamp",
        category="light",
        brand="acme",
        price=2_000,
        stock=3,
        fields={"colour": "red", "parts": ["a"]},
        changed_at=NOW - DAY,
    ),
    "sofa": ItemChanged(item="sofa", price=90_000, stock=0),
    "rug": ItemChanged(item="rug"),
}


def line(item: str, quantity: int = 1) -> facts.Line:
    return facts.Line(item=item, quantity=quantity, category="home", brand="acme")


def order(number: int, days: float, total: int, currency: str = "EUR") -> facts.Purchased:
    return facts.Purchased(
        **base(number, NOW - int(days * DAY)),
        order=f"o{number}",
        lines=[line("mug", 2), line("rug")],
        total=total,
        currency=currency,
        country="DE",
    )


def viewed(number: int, days: float, item: str = "lamp") -> facts.ItemViewed:
    return facts.ItemViewed(**base(number, NOW - int(days * DAY)), item=item, category="light")


HISTORY: list[facts.AnyFact] = [
    facts.TraitsSet(
        **base(1, NOW - 60 * DAY),
        traits={"birthday": "1990-10-09", "locale": "de-DE", "tier": "gold", "points": 7},
    ),
    order(2, 40, 3_000),
    order(3, 20, 5_000),
    order(4, 10, 100, "USD"),
    facts.Refunded(**base(5, NOW - 9 * DAY), order="o3", total=400, currency="EUR"),
    facts.OrderDelivered(**base(6, NOW - 9 * DAY), order="o4"),
    viewed(7, 6.3),
    viewed(8, 0.1),
    viewed(9, 0.1, "sofa"),
    facts.Searched(**base(10, NOW - 2 * DAY), query="lamp"),
    facts.WishlistAdded(**base(11, NOW - 2 * DAY), item="lamp"),
    facts.CartAdded(**base(12, NOW - 3 * HOUR), item="lamp", quantity=2),
    facts.CartAdded(**base(13, NOW - 2 * HOUR), item="sofa"),
    facts.CheckoutStarted(**base(14, NOW - HOUR), total=94_000, currency="EUR"),
    facts.FeedbackGiven(**base(15, NOW - 3 * DAY), kind="nps", score=9),
    facts.SupportContacted(**base(16, NOW - 5 * DAY)),
    facts.ItemRated(**base(17, NOW - 4 * DAY), item="mug", rating=4),
    facts.OccasionSaved(**base(18, NOW - DAY), name="mum", month=5, day=3, relation="mother"),
    facts.OfferDismissed(**base(19, NOW - DAY), item="sofa"),
]
EMPTY = MomentContext(Profile(), Around(), NOW)


def predict(component: object, now: int) -> Prediction:
    return Prediction(
        currency="EUR",
        historic_clv=8_000,
        average_order_value=4_000,
        churn_probability=0.25,
        expected_date_of_next_order=now + 2 * DAY,
    )


def context(**about: Any) -> MomentContext:
    profile = Profile(component=folded(*HISTORY))
    contact = profile.contact
    contact.segments = {"vip": NOW - DAY, "gold": NOW}
    contact.stage, contact.stage_since = "loyal", NOW - 3 * DAY
    contact.sent = [
        Sent(NOW - HOUR, "4", "email", "a"),
        Sent(NOW - DAY, "3", "email", "b", transactional=True),
        Sent(NOW - 8 * DAY, "2", "push", "c"),
        Sent(NOW - 29 * DAY, "1", "email", "d", outcome=CLICKED),
        Sent(NOW - 40 * DAY, "0", "email", "d"),
    ]
    return MomentContext(profile, Around(items=ITEMS, predict=predict), NOW, **about)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("orders", 3),
        ("revenue", 8_000),
        ("refunded", 400),
        ("average_order_value", 8_000 / 3),
        ("days_since_order", 10),
        ("days_since_first_order", 40),
        ("days_since_seen", 1 / 24),
        ("days_since_first_seen", 60),
        ("views_1d", 2),
        ("views_7d", 3),
        ("views_30d", 3),
        ("searches_7d", 1),
        ("carted_1d", 2),
        ("cart_items", 2),
        ("cart_pieces", 3),
        ("cart_value", 94_000),
        ("cart_in_stock", False),
        ("hours_since_cart", 2),
        ("cart", ["sofa", "lamp"]),
        ("wishes", 1),
        ("wished", ["lamp"]),
        ("items_bought", 2),
        ("bought", ["mug", "rug"]),
        ("categories", ["home", "light"]),
        ("brands", ["acme"]),
        ("country", "DE"),
        ("language", "de-DE"),
        ("age", 35),
        ("historic_clv", 8_000),
        ("churn_probability", 0.25),
        ("predicted_clv", None),
        ("days_to_next_order", 2),
        ("segments", ["gold", "vip"]),
        ("stage", "loyal"),
        ("days_in_stage", 3),
        ("nps", 9),
        ("days_since_nps", 3),
        ("csat", None),
        ("days_since_support", 5),
        ("days_since_rating", 4),
        ("hours_since_checkout", 1),
        ("checkout_total", 94_000),
        ("occasions", 1),
        ("messages_7d", 2),
        ("messages_30d", 4),
        ("messages_ignored", 2),
        ("days_since_message", 1 / 24),
    ],
)
def test_what_is_known_of_a_customer(name: str, expected: Scalar) -> None:
    value = context().value(f"profile.{name}")
    if expected is None:
        assert isinstance(value, float)
        assert math.isnan(value)
    else:
        assert value == (pytest.approx(expected) if isinstance(expected, float) else expected)


@pytest.mark.parametrize("variable", ALL, ids=lambda variable: variable.name)
def test_of_who_is_unknown_each_says_its_default(variable: Any) -> None:
    value = EMPTY.value(variable.name)
    kinds: dict[str, type[Any]] = {"number": float, "text": str, "flag": bool, "texts": list}
    if variable.unknown:
        assert math.isnan(value)  # type: ignore[arg-type]
    elif variable.kind == "number":
        assert value == 0
    else:
        assert value == variable.missing
        assert type(value) is kinds[variable.kind]


def test_traits_and_fields_are_what_the_shop_sent() -> None:
    known = context(moved=ItemMoved(ITEMS["lamp"], None))
    assert (known.value("trait.tier"), known.value("trait.points")) == ("gold", 7)
    assert known.value("item.field.colour") == "red"
    assert known.value("item.field.parts") is None
    assert known.value("trait.unheard") is None
    said = context(fact=facts.PageViewed(**base(), extra={"gift": True}))
    assert said.value("event.extra.gift") is True
    with pytest.raises(KeyError):
        known.value("profile.unheard")


def test_an_item_as_it_stands_and_stood() -> None:
    before = ItemChanged(item="lamp", price=2_500, stock=0)
    known = context(moved=ItemMoved(ITEMS["lamp"], before))
    expected = {
        "item.id": "lamp",
        "item.title": "Lamp",
        "item.category": "light",
        "item.price": 2_000,
        "item.stock": 3,
        "item.available": True,
        "item.days_since_changed": 1,
        "item.in_cart": True,
        "item.wished": True,
        "item.dismissed": False,
        "item.days_since_viewed": pytest.approx(0.1),
        "item.times_bought": 0,
        "item.previous_price": 2_500,
        "item.previous_stock": 0,
        "item.drop": 500,
        "item.drop_percent": 20,
        "item.back_in_stock": True,
    }
    assert {name: known.value(name) for name in expected} == expected


@pytest.mark.parametrize(
    ("name", "item", "expected"),
    [
        ("item.stock", "rug", math.inf),
        ("item.available", "rug", True),
        ("item.available", "sofa", False),
        ("item.dismissed", "sofa", True),
        ("item.times_bought", "rug", 3),
        ("item.days_since_bought", "rug", 10),
    ],
)
def test_the_item_of_a_moment_that_is_due(name: str, item: str, expected: Scalar) -> None:
    waiting = Waiting(NOW, "any", "e", NOW, item=item)
    assert context(waiting=waiting).value(name) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"active": False}, False),
        ({"stock": 0}, False),
        ({"valid_from": NOW + 1}, False),
        ({"valid_to": NOW}, False),
        ({"valid_from": NOW, "valid_to": NOW + 1, "stock": 1}, True),
    ],
)
def test_what_can_be_bought(changes: dict[str, Any], expected: bool) -> None:
    moved = ItemMoved(ItemChanged(item="lamp", **changes), None)
    assert context(moved=moved).value("item.available") is expected


def test_an_order_and_what_was_heard_of_it() -> None:
    bought = context(fact=order(30, 0, 700))
    expected = {
        "event.total": 700,
        "event.order": "o30",
        "event.items": ["mug", "rug"],
        "event.categories": ["home"],
        "event.pieces": 3,
        "event.country": "DE",
    }
    assert {name: bought.value(name) for name in expected} == expected
    for subject, news in (("o4", "delivered"), ("o3", "refunded")):
        known = context(waiting=Waiting(NOW, "any", "e", NOW, subject=subject))
        heard = [
            each
            for each in ("shipped", "delayed", "delivered", "refunded")
            if known.value(f"order.{each}")
        ]
        assert heard == [news]


def test_a_saved_day() -> None:
    known = context(waiting=Waiting(NOW, "any", "timer:occasion:1", NOW, subject="mum"))
    assert (known.value("timer.occasion"), known.value("timer.relation")) == ("mum", "mother")
    assert known.value("timer.years") == 0


@pytest.mark.parametrize(
    ("traits", "age"),
    [
        ({"birthday": "1990-10-10"}, 34),
        ({"birthday": "1990-10-09T00:00:00Z"}, 35),
        ({"birthday": "--10-09", "age": 50}, 50),
        ({"birthday": 7, "age": 50}, 50),
        ({"birthday": "1700-01-01"}, None),
        ({"age": True}, None),
        ({"age": 200}, None),
        ({"age": "50"}, None),
    ],
)
def test_how_old_a_customer_is(traits: dict[str, Any], age: float | None) -> None:
    profile = Profile(component=folded(facts.TraitsSet(**base(), traits=traits)))
    value = MomentContext(profile, Around(), NOW).value("profile.age")
    assert value == age or (age is None and math.isnan(value))  # type: ignore[arg-type]


def test_the_table_is_whole() -> None:
    assert len(VARIABLES) == len(ALL)
    assert {variable.kind for variable in ALL} <= set(KINDS)
    assert all(variable.meaning for variable in ALL)
