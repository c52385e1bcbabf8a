"""The view: derived from the state alone, small, and decayed only here."""

from hypothesis import given

from services.profile.state import Profile
from services.profile.view import project, running_session
from shared.profile import View, decode_view, encode_view, price_band
from tests.unit.profile.builders import DAY, MINUTE, NOW, carted, fact_lists, folded, viewed


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
