"""A dry run of the scenarios that really ran says what they said: the same triggers, verdict for
verdict. On Apache Kafka and Redis, with the profile service as a process."""

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from services.profile.dry_run.playing import PartitionPlay
from services.profile.dry_run.run import Asked, DryRun, dry_run, prepared
from services.profile.dry_run.sources import partition_records
from services.profile.moments.around import Around
from shared import events as facts
from shared import topics
from shared.bus import Record, scan
from shared.clock import real_now_ms
from shared.settings import Settings
from tests.fixtures.waiting import eventually
from tests.integration.test_profile_process import applied, profile, write

BOOK = """
version: seconds
zone: Europe/Berlin
policy:
  budgets:
    - {messages: 1, window: 5s}
  purposes:
    marketing: {basis: consent}
    service: {basis: contract, transactional: true}
  holdout: {share: 0.2, salt: "2026"}
segments:
  - {name: regular, when: profile.orders >= 2}
stages:
  - {name: loyal, when: profile.orders >= 2}
  - {name: considering, when: profile.cart_items > 0}
scenarios:
  - name: cart_abandoned
    on: cart_added
    when: profile.cart_items > 0
    after: 3s
    recheck: profile.cart_items > 0
    life: 1h
    purpose: marketing
    channels: [email]
  - name: wish_remembered
    on: wishlist_added
    after: 3s
    life: 1h
    purpose: marketing
    channels: [email, push]
  - name: order_delayed
    on: order_delayed
    life: 1h
    purpose: service
    channels: [email]
  - name: regulars
    on: segment_entered
    life: 1h
    purpose: marketing
    channels: [push]
  - name: gone
    on: {timer: inactive, after: 1h}
    when: profile.views_7d > 0
    life: 1h
    purpose: marketing
    channels: [push]
"""
HOUR_MS = 3_600_000
STEP_S = 0.8
EACH = 6
EXPECTED = {
    "cart_abandoned": 4 * EACH,
    "wish_remembered": EACH,
    "order_delayed": 2 * EACH,
    "regulars": EACH,
    "gone": EACH,
}
"""Triggers with a last word, by scenario."""


class Said(NamedTuple):
    """A verdict, as far as it does not tell when exactly it was made."""

    trigger_id: str
    attempt: int
    scenario: str
    verdict: str
    reason: str
    channel: str


def said(fact: facts.MessageDecided) -> Said:
    return Said(
        fact.trigger_id, fact.attempt, fact.scenario, fact.verdict, fact.reason, fact.channel
    )


Steps = list[list[Callable[[int], facts.Fact]]]


def base(event: str, customer: str, at: int) -> dict[str, Any]:
    return {"event_id": event, "customer": customer, "occurred_at": at, "received_at": at}


def carted(who: str, item: str = "lamp") -> Callable[[int], facts.Fact]:
    return lambda at: facts.CartAdded(**base(f"cart-{who}-{item}", who, at), item=item)


def wished(who: str) -> Callable[[int], facts.Fact]:
    return lambda at: facts.WishlistAdded(**base(f"wish-{who}", who, at), item="rug")


def viewed(who: str) -> Callable[[int], facts.Fact]:
    """Told an hour late: five seconds later the customer has not been seen for an hour."""
    return lambda at: facts.ItemViewed(
        **base(f"view-{who}", who, at) | {"occurred_at": at - HOUR_MS + 5_000}, item="rug"
    )


def delayed(who: str) -> Callable[[int], facts.Fact]:
    return lambda at: facts.OrderDelayed(**base(f"late-{who}", who, at), order=f"o-{who}")


def denied(who: str) -> Callable[[int], facts.Fact]:
    return lambda at: facts.ConsentChanged(
        **base(f"no-{who}", who, at), purpose="marketing", granted=False
    )


def bought(who: str, number: int = 0) -> Callable[[int], facts.Fact]:
    return lambda at: facts.Purchased(
        **base(f"order-{who}-{number}", who, at),
        order=f"o-{who}-{number}",
        lines=[facts.Line(item="lamp")],
        total=100,
        currency="EUR",
    )


def story() -> Steps:
    """What happens in each step, STEP_S apart; what the arbiter weighs lies farther apart than a
    turn of the timer loop may be late."""
    steps: Steps = [[], [], []]
    for number in range(EACH):
        names = ["left", "bought", "held", "denied", "late", "regular", "twice", "looked"]
        left, buyer, held, no, late, regular, twice, looked = (f"{n}-{number}" for n in names)
        steps[0] += [carted(left), carted(buyer), carted(held), denied(no), delayed(late)]
        steps[0] += [bought(regular), carted(twice), viewed(looked)]
        steps[1] += [bought(buyer), wished(held), carted(no), bought(regular, 1)]
        steps[1] += [carted(twice, "sofa")]
        steps[2] += [delayed(left)]
    return steps


async def live(settings: Settings, folder: Path) -> list[facts.MessageDecided]:
    """Runs the story; all verdicts in the log, once nothing is open any more."""
    async with profile(settings, folder):
        # While it starts, moments that lie apart would come due together.
        await write(settings, denied("first")(real_now_ms()))
        await applied(settings, 1)
        for step in story():
            now = real_now_ms()
            await write(settings, *(make(now) for make in step))
            await asyncio.sleep(STEP_S)

        async def settled() -> bool:
            found = await verdicts(settings)
            last = {(one.scenario, one.trigger_id) for one in found if one.verdict != "hold"}
            return Counter(scenario for scenario, _ in last) == EXPECTED

        await eventually(settled, what="all verdicts")
        return await verdicts(settings)


async def verdicts(settings: Settings) -> list[facts.MessageDecided]:
    topic = topics.EVENTS.named(settings.namespace)
    records: list[Record] = [one async for found in scan(settings, topic) for one in found]
    decoded = [facts.decode(record.value or b"") for record in records]
    return [fact for fact in decoded if isinstance(fact, facts.MessageDecided)]


async def again(settings: Settings, draft: Path) -> tuple[DryRun, list[facts.MessageDecided]]:
    """The dry run, and its verdicts one by one."""
    asked = Asked(draft=draft, running=draft, only="", days=1, source="log")
    setup = await prepared(settings, asked)
    heard: list[facts.MessageDecided] = []
    for partition, end in setup.history.ends.items():
        around = Around(zone="Europe/Berlin")
        play = PartitionPlay(partition, setup.book(), around, setup.window, heard=heard.append)
        async for records in partition_records(settings, "log", partition, end):
            play.feed(records)
        play.finish()
    return await dry_run(setup, lambda count: None), heard


@pytest.mark.timeout(120)
async def test_a_dry_run_of_what_really_ran_says_the_same(
    kafka_settings: Settings, tmp_path: Path
) -> None:
    draft = tmp_path / "scenarios.yaml"
    draft.write_text(BOOK)
    settings = replace(kafka_settings, scenarios=str(draft))

    really = await live(settings, tmp_path)
    found, dry = await again(settings, draft)

    assert {said(fact) for fact in dry} == {said(fact) for fact in really}
    assert len(dry) == len({fact.event_id for fact in really})
    load = found.effects.fatigue
    assert load.after == load.before
    assert load.after.sent > 3 * EACH
    by_name = {one.name: one for one in found.effects.scenarios}
    assert by_name["wish_remembered"].held["budget"] >= 1
    assert by_name["cart_abandoned"].passed_over["recheck"] == EACH
