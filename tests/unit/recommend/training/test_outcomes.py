"""Past decisions and what became of them: by the decision's id, or by who did what soon after."""

from typing import Any

import msgspec
import pytest

from services.recommend.ranker.rankings import joined
from services.recommend.training.building import HistoryBuilder
from services.recommend.training.outcomes import CLICK_MS, ORDER_MS
from shared.decisions import LIKENESS
from shared.events import (
    ItemViewed,
    Line,
    OfferClicked,
    OfferShown,
    Purchased,
    encode,
    identity_key,
)

AT = 1_000_000


def decision(
    name: str = "d1", *, arm: str = "personalised", model: str = "linear", **changes: Any
) -> bytes:
    items = [{"id": item, "rank": place} for place, item in enumerate(("a", "b", "c"), start=1)]
    record: dict[str, Any] = {
        "decision_id": name,
        "decided_at": AT,
        "placement": "home",
        "customer": "ann",
        "answer": {"arm": arm, "model": {"name": model}, "items": items},
        "feature_names": ["x", "y"],
        "feature_values": [[1.0, None], [2.0, 0.5], [3.0, 0.1]],
        "propensities": [1.0, 0.5, 1.0],
    }  # fmt: skip
    return msgspec.json.encode(record | changes)


def fact(kind: Any, at: int, who: str = "ann", **fields: Any) -> Any:
    return kind(event_id=f"{at}", customer=who, occurred_at=at, received_at=at, **fields)


def bought(item: str, at: int, who: str = "ann") -> Any:
    lines = [Line(item=item)]
    return fact(Purchased, at, who, order=f"o{at}", lines=lines, total=1, currency="EUR")


def logged(decisions: list[bytes], *facts: Any) -> Any:
    builder = HistoryBuilder()
    for record in decisions:
        builder.outcomes.decided(record)
    for one in facts:
        builder.take(identity_key(one).encode(), encode(one))
    return builder.outcomes.logged()


def test_without_reports_all_were_shown_and_interest_soon_after_is_a_click() -> None:
    (found,) = logged(
        [decision()],
        fact(ItemViewed, AT - 1, item="a"),
        fact(ItemViewed, AT + CLICK_MS, item="b"),
        fact(ItemViewed, AT + CLICK_MS + 1, item="c"),
        fact(ItemViewed, AT + 1, who="bob", item="c"),
        bought("b", AT + ORDER_MS),
        bought("c", AT + ORDER_MS + 1),
        bought("a", AT + 5, who="bob"),
    )
    assert found.clicked == [False, True, False]
    assert found.converted == [False, True, False]
    assert (found.positions, found.propensities) == ([1, 2, 3], [1.0, 0.5, 1.0])
    assert (list(found.names), found.values[0], found.at) == (["x", "y"], [1.0, None], AT)


def test_where_the_shop_reports_the_reports_count() -> None:
    (found,) = logged(
        [decision(), decision("d2")],
        fact(OfferShown, AT + 1, item="b", decision_id="d1", rank=2),
        fact(OfferShown, AT + 1, item="c", decision_id="d1", rank=3),
        fact(OfferClicked, AT + 10 * CLICK_MS, item="c", decision_id="d1"),
        fact(ItemViewed, AT + 1, item="b"),
    )
    assert (found.positions, found.clicked) == ([2, 3], [False, True]), "of d2 nothing was shown"


@pytest.mark.parametrize(
    "record",
    [
        decision(arm="random"),
        decision(model=LIKENESS),
        decision(feature_values=[]),
        b"{",
        b"",
        None,
    ],
)
def test_what_was_not_ranked_teaches_no_order(record: bytes | None) -> None:
    builder = HistoryBuilder()
    builder.outcomes.decided(record)
    assert builder.outcomes.logged() == []


def test_what_filled_an_answer_up_is_no_part_of_its_ranking() -> None:
    short = decision(feature_values=[[1.0, None], [2.0, 0.5], []])
    unranked = decision("d2", feature_names=[], feature_values=[[], [], []])
    found = logged([short, unranked, decision("d3")])
    assert [ranking.positions for ranking in found] == [[1, 2], [1, 2, 3]]
    assert joined(found).features.shape == (5, 2)


def test_a_decision_that_is_there_twice_is_one_and_the_oldest_come_first() -> None:
    found = logged([decision(), decision("d0", decided_at=AT - 5), decision()])
    assert [ranking.at for ranking in found] == [AT - 5, AT]


def test_the_newest_decisions_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.recommend.training.outcomes.MOST", 3)
    found = logged([decision(f"d{at}", decided_at=at) for at in (5, 1, 4, 2, 3)])
    assert [ranking.at for ranking in found] == [3, 4, 5]
