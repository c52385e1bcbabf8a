"""What a shopper does changes what the next answer offers, through all services."""

import time
from typing import Any

from shared.decisions import decode_decision
from shared.topics import DECISIONS
from tests.fixtures.systems import Shop, event, filtered_of, items_of
from tests.fixtures.waiting import eventually

LIVE_S = 2.0
"""How long a change of the catalogue may take to reach answers."""


async def visit(shop: Shop, visitor: str, *items: str) -> None:
    """A visitor who looks at some items in one session."""
    await shop.send(*(event("item_viewed", anonymous=visitor, item=item) for item in items))


async def test_a_click_changes_the_next_answer_and_is_its_evidence(
    shop: Shop, shopper: str
) -> None:
    for number in range(3):
        await visit(shop, f"{shopper}-taught-{number}", "desk-8", "rug-9")
    for number in range(8):
        await visit(shop, f"{shopper}-crowd-{number}", "mug-0", "mug-1", "clock-0", "clock-1")

    async def taught() -> bool:
        crowd = await shop.ask(n=3, anonymous=f"{shopper}-nobody")
        similar = await shop.ask(n=3, session=["desk-8"])
        return "rug-9" not in items_of(crowd) and "rug-9" in items_of(similar)

    await eventually(taught, what="what other shoppers teach")
    before = await shop.ask(n=3, customer=shopper)
    assert before["profile"] is None
    click = event("item_viewed", customer=shopper, item="desk-8")
    await shop.send(click)
    after = await shop.ask_until(1, n=3, customer=shopper)
    assert "rug-9" in items_of(after)
    assert items_of(after) != items_of(before)
    assert (after["fallback"], after["consent_mode"]) == ("none", "profiled")
    assert after["profile"]["clock"] == click["occurred_at"]
    offered = next(item for item in after["items"] if item["id"] == "rug-9")
    evidence = [reason["evidence"].get("events") for reason in offered["reasons"]]
    assert [{"fact": "item_viewed", "item": "desk-8", "at": click["occurred_at"]}] in evidence, (
        offered
    )


async def test_a_purchase_is_not_offered_again_unless_it_is_repeatable(
    shop: Shop, shopper: str
) -> None:
    before = await shop.ask(customer=shopper)
    assert {"lamp-3", "coffee-3"} <= set(items_of(before))
    lines = [{"item": "lamp-3", "price": 2600}, {"item": "coffee-3", "price": 2600, "quantity": 2}]
    order = {"order": f"order-{shopper}", "total": 7800, "currency": "EUR", "lines": lines}
    await shop.send(event("purchased", customer=shopper, **order))
    after = await shop.ask_until(1, customer=shopper)
    assert "lamp-3" not in items_of(after)
    assert "coffee-3" in items_of(after)

    async def counted() -> bool:
        # what is withheld is counted once it is a candidate, and trending follows each second
        return filtered_of(await shop.ask(customer=shopper)).get("bought") == 1

    await eventually(counted, what="the purchase counted in `filtered`")
    assert "lamp-3" in items_of(await shop.ask(customer=f"{shopper}-other"))


async def test_out_of_stock_leaves_answers_within_two_seconds(shop: Shop, shopper: str) -> None:
    assert "poster-4" in items_of(await shop.ask(anonymous=shopper))

    async def offered() -> bool:
        return "poster-4" in items_of(await shop.ask(anonymous=shopper))

    async def withheld() -> bool:
        return not await offered()

    try:
        await shop.administer("poster-4", stock=0)
        await eventually(withheld, within_s=LIVE_S, what="out of stock")
    finally:
        await shop.administer("poster-4", stock=50)
    await eventually(offered, within_s=LIVE_S, what="in stock again")


async def test_each_answer_leaves_its_decision_in_the_log(shop: Shop, shopper: str) -> None:
    await shop.send(event("item_viewed", customer=shopper, item="clock-5"))
    await shop.ask_until(1, customer=shopper)
    answers: dict[str, dict[str, Any]] = {}
    for number in range(5):
        answer = await shop.ask(n=4, customer=shopper, placement=f"place-{number}")
        answers[answer["decision_id"]] = answer
    assert len(answers) == 5

    async def written() -> dict[str, Any]:
        records = [decode_decision(record.value or b"") for record in await shop.records(DECISIONS)]
        found = {each.decision_id: each for each in records if each.decision_id in answers}
        return found if len(found) == len(answers) else {}

    for decision_id, decision in (await eventually(written, what="decisions")).items():
        answer = answers[decision_id]
        assert [item.id for item in decision.answer.items] == items_of(answer)
        assert decision.customer == shopper
        assert len(decision.feature_values) == len(decision.propensities) == 4
        assert abs(decision.decided_at - time.time() * 1000) < 60_000
