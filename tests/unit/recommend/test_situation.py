"""What a decision takes for the shopper's session."""

from services.recommend.request import Context, RecommendRequest
from services.recommend.situation import LONGEST_SESSION, MOST_CLICKS, situate
from shared.profile import Session, View


def test_the_request_follows_the_profile_and_keeps_its_returns() -> None:
    view = View(session=Session(0, 1, ["old", "a", "older"]))
    request = RecommendRequest(session=["a", "b"], context=Context(item="a"))
    assert situate(request, view, None).session == ["old", "older", "a", "b", "a"]


def test_a_session_is_bounded() -> None:
    view = View(session=Session(0, 1, ["old"]))
    many = [f"item-{number}" for number in range(50)]
    session = situate(RecommendRequest(session=many), view, None).session
    assert session == many[-LONGEST_SESSION:]
    to_and_fro = situate(RecommendRequest(session=["a", "b"] * 500), view, None).session
    assert len(to_and_fro) == MOST_CLICKS + 1
    assert to_and_fro[0] == "old"
