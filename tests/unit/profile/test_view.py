"""The view: derived from the state alone, small, and decayed only here."""

from hypothesis import given
from hypothesis import strategies as st

from services.profile.shown import SHOWN_KEPT
from services.profile.state import Profile
from services.profile.view import project, running_session
from shared import events as facts
from shared.profile import View, decode_view, encode_view, price_band
from tests.unit.profile.builders import (
    DAY,
    MINUTE,
    NOW,
    base,
    bought,
    carted,
    fact_lists,
    folded,
    viewed,
)


def test_the_running_session_holds_each_item_once_oldest_first() -> None:
    component = folded(
        viewed(1, NOW - 40 * MINUTE, "sofa"),
        viewed(2, NOW - 5 * MINUTE, "lamp"),
        viewed(3, NOW - 2 * MINUTE, "mug"),
        viewed(4, NOW, "lamp"),
    )
    session = running_session(component.recent)
    assert session.items == ["mug", "lamp"]
    assert (session.started, session.last) == (NOW - 5 * MINUTE, NOW)


def test_older_interest_weighs_less() -> None:
    old = viewed(1, NOW - 56 * DAY)
    new = viewed(2, NOW)
    old.category = "old"
    affinities = dict(project(Profile(component=folded(old, new))).affinities["category"])
    assert affinities == {"light": 1000, "old": 250}


@given(fact_lists())
def test_a_view_survives_its_packing_and_names_its_counts(sequence) -> None:
    view = project(Profile(component=folded(*sequence)))
    assert decode_view(encode_view(view)) == view
    assert view.events == len(sequence)


def test_an_empty_profile_has_an_empty_view() -> None:
    assert project(Profile()) == View()


def test_the_cart_is_newest_first() -> None:
    view = project(Profile(component=folded(carted(1, NOW, "lamp"), carted(2, NOW + 1, "mug"))))
    assert view.cart == ["mug", "lamp"]


def test_price_bands_are_octaves() -> None:
    assert [price_band(price) for price in (0, 1, 1023, 1024, 2047, 2048)] == [
        "0",
        "1",
        "10",
        "11",
        "11",
        "12",
    ]


def shown(number: int, at: int, item: str = "lamp") -> facts.OfferShown:
    return facts.OfferShown(**base(number, at), item=item)


def clicked(number: int, at: int, item: str = "lamp") -> facts.OfferClicked:
    return facts.OfferClicked(**base(number, at), item=item)


def told(number: int, at: int, **traits: object) -> facts.TraitsSet:
    return facts.TraitsSet(**base(number, at), traits=traits)


def test_what_was_bought_is_dated_and_counted() -> None:
    sequence = (
        bought(1, NOW - 40 * DAY, "mug"),
        bought(2, NOW - 3 * DAY, "mug"),
        bought(3, NOW - 9 * DAY, "mug"),
        bought(4, NOW - DAY, "sofa"),
        viewed(5, NOW),
    )
    for order in (sequence, sequence[::-1]):
        view = project(Profile(component=folded(*order)))
        assert view.bought == ["sofa", "mug"]
        assert (view.bought_days, view.bought_times) == ([1, 3], [1, 3])
    once = project(Profile(component=folded(bought(1))))
    assert (once.bought_days, once.bought_times) == ([0], [])


def test_offers_that_came_to_nothing_are_counted() -> None:
    sequence = (
        shown(1, NOW - 20 * DAY),
        shown(2, NOW - 4 * DAY),
        shown(3, NOW - 4 * DAY + 1),
        shown(4, NOW - 2 * DAY),
        shown(5, NOW - 5 * DAY, "sofa"),
        clicked(6, NOW - 3 * DAY, "sofa"),
        shown(7, NOW - 5 * DAY, "mug"),
        shown(8, NOW - DAY, "mug"),
        bought(9, NOW - 3 * DAY, "mug"),
        shown(10, NOW - 2 * DAY, "rug"),
        clicked(11, NOW - 3 * DAY, "rug"),
        viewed(12, NOW),
    )
    for order in (sequence, sequence[::-1], sorted(sequence, key=lambda fact: fact.occurred_at)):
        view = project(Profile(component=folded(*order)))
        assert view.shown == [("mug", 1, 1), ("lamp", 3, 2), ("rug", 1, 2)]


@given(fact_lists(), st.randoms())
def test_what_is_shown_does_not_depend_on_the_order(sequence, random) -> None:
    mixed = random.sample(sequence, len(sequence))
    one, other = (project(Profile(component=folded(*order))) for order in (sequence, mixed))
    assert (one.shown, one.bought, one.bought_days, one.bought_times) == (
        other.shown,
        other.bought,
        other.bought_days,
        other.bought_times,
    )


def test_only_the_latest_offers_are_remembered() -> None:
    many = [shown(n, NOW - 12 * DAY + n * DAY // 10, f"item-{n:02}") for n in range(SHOWN_KEPT + 9)]
    component = folded(*many)
    assert len(component.shown) == SHOWN_KEPT
    assert "item-08" not in component.shown
    assert folded(*many, viewed(99, NOW + 20 * DAY)).shown == {}


def test_country_and_year_of_birth_come_from_traits() -> None:
    order = bought(1, NOW)
    order.country = "FR"
    born = told(2, NOW + 1, birthday="1985-03-02", age=3)
    view = project(Profile(component=folded(order, born)))
    assert (view.country, view.born) == ("FR", 1985)
    # told in October 2025
    aged = told(3, NOW, age=40, country="DE")
    view = project(Profile(component=folded(aged, viewed(4, NOW + 400 * DAY))))
    assert (view.country, view.born) == ("DE", 1985)
    for nonsense in ({"birthday": "soon"}, {"age": "old"}, {"age": 900}, {"age": -1.0}):
        view = project(Profile(component=folded(told(5, NOW, country=7, **nonsense))))
        assert (view.country, view.born) == (None, None)


def consent(number: int, purpose: str, *, granted: bool) -> facts.ConsentChanged:
    return facts.ConsentChanged(**base(number, NOW + number), purpose=purpose, granted=granted)


def test_who_denies_profiling_is_paused_until_it_is_granted_again() -> None:
    for purpose in ("profiling", "personalisation", "personalization"):
        denial = consent(1, purpose, granted=False)
        assert project(Profile(component=folded(denial))).paused
        granted = folded(denial, consent(2, purpose, granted=True))
        assert not project(Profile(component=granted)).paused
    assert not project(Profile(component=folded(consent(1, "marketing", granted=False)))).paused
