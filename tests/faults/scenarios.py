"""For each guard a short play in which nothing but that guard keeps the promise.

Each returns what was violated: nothing with the guard in place, something without it.
"""

import asyncio
import json
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from shared import events as facts
from shared import topics
from shared.clock import real_now_ms
from shared.triggers import Fatigue, Payload, Trigger, encode
from tests.faults.stage import HOUR, Stage, Stalled, carted, login, viewed
from tests.faults.troubles import LATE_S
from tests.fixtures.kafka_faults import make_anew

LOSABLE_S: Final = 1.8
DECIDED_S: Final = 10.0
ADA: Final = "c:ada"
Violations = list[str]


async def redelivered_beyond_the_window(stage: Stage) -> Violations:
    """600 events are folded, nothing is committed, all of them come again."""
    await stage.write(*(viewed(number) for number in range(600)))
    await stage.start("profile-0", crash="before_commit:1")
    await stage.dies("profile-0")
    await stage.start("profile-0")
    await stage.drained()
    return await stage.events_of(ADA, 600)


async def sent_again(stage: Stage) -> Violations:
    """A shop sends the same event twice."""
    await stage.write(viewed(1), viewed(1))
    await stage.start("profile-0")
    await stage.drained()
    return await stage.events_of(ADA, 1)


async def decided_again(stage: Stage) -> Violations:
    """A decision is on its way to the log when Redis forgets that it was made."""
    await stage.start("profile-0", trouble="publication_arrives_late")
    known, began = stage.system.file_sizes(), time.monotonic()
    await stage.write(carted("cart-1"))

    async def stated() -> bool:
        return bool((await stage.identity(ADA)).outbox)

    await stage.until(stated, "a decision in the outbox")
    await _forget(stage, known, began)

    async def said() -> bool:
        return bool(await stage.messages())

    await stage.until(said, "a message")
    await asyncio.sleep(LATE_S)
    if (await stage.decisions())["ada"] == 1:
        await stage.drained()
    # A verdict that does not end its moment may be stated for ever: that log is never drained.
    decided = (await stage.decisions())["ada"]
    return [] if decided == 1 else [f"{decided} decisions for one cart"]


async def zombie(stage: Stage) -> Violations:
    """A member sleeps between reading and writing; another takes over; the first wakes, and dies
    once it has written (else it would read on, and write what it missed)."""
    await stage.write(*(viewed(number) for number in range(10)))
    await stage.start("profile-0", trouble="sleeps_before_saving", crash="after_save:1")
    await stage.until(lambda: stage.is_stopped("profile-0"), "asleep")
    await stage.start("profile-extra")
    await stage.until(lambda: stage.holds(ADA, 10), "taken over")
    await stage.write(*(viewed(number) for number in range(10, 20)))
    await stage.until(lambda: stage.holds(ADA, 20), "carried on")
    stage.signal("profile-0", signal.SIGCONT)
    await stage.dies("profile-0")
    await stage.drained()
    return await stage.profiles()


async def dies_before_writing(stage: Stage) -> Violations:
    """A member dies between reading facts and writing profiles."""
    await stage.write(*(viewed(number) for number in range(50)))
    await stage.start("profile-0", crash="before_save:1")
    await stage.dies("profile-0")
    await stage.start("profile-0")
    await stage.drained()
    return await stage.profiles()


async def dies_before_publishing(stage: Stage) -> Violations:
    """A member dies between writing a visitor and handing the visitor's past to the customer."""
    past = [viewed(number, anonymous="device") for number in range(3)]
    await stage.write(*past, login("login-1", "ada", "device"))
    await stage.start("profile-0", crash="before_publish:1")
    await stage.dies("profile-0")
    await stage.start("profile-0")
    await stage.drained()
    return await stage.events_of(ADA, 4)


async def redis_forgets(stage: Stage) -> Violations:
    """Redis loses what it acknowledged in the last second."""
    await stage.start("profile-0")
    await stage.write(*(viewed(number) for number in range(20)))
    await stage.drained()
    known, began = stage.system.file_sizes(), time.monotonic()
    lost = [viewed(number) for number in range(20, 40)]
    await stage.write(*lost, viewed(1, "bob"), viewed(2, "eve"))
    await stage.until(lambda: stage.holds(ADA, 40), "applied")
    # Long enough for a commit that does not wait for durability.
    await asyncio.sleep(0.6)
    await _forget(stage, known, began)
    await stage.write(viewed(40))

    async def gone_on_or_ended() -> bool:
        return await stage.holds(ADA, 21) or not stage.system.processes.alive("profile-0")

    await stage.until(gone_on_or_ended, "gone on")
    if not stage.system.processes.alive("profile-0"):
        # Another guard noticed, but only a rebuild helps now.
        said = stage.system.processes.tail("profile-0").rpartition(" | ")[2]
        return [f"profile ended: {said}"]
    await stage.drained()
    return await stage.profiles()


async def decided_with_two_contents(stage: Stage) -> Violations:
    """The log holds two facts of one decision, as after a double fault, with other contents."""
    await stage.write_bytes(
        topics.EVENTS, *((ADA, facts.encode(_decision(item))) for item in ("lamp", "rug"))
    )
    await stage.start("profile-0")
    await stage.drained()
    contents = await stage.messages()
    if not contents:
        raise Stalled("no message at all")
    return [f"{len(each)} contents of one id" for each in contents.values() if len(each) > 1]


async def rebalanced_in_the_middle(stage: Stage) -> Violations:
    """A member of ingest joins while a shopper of more events than any window has them read."""
    events = 6_000
    raw = [_raw("item_viewed", f"view-{number}", item="lamp") for number in range(events)]
    await stage.write_bytes(topics.CLICKSTREAM, *raw)
    await stage.start("ingest-0", trouble="commits_seldom")
    await stage.until(lambda: stage.has_facts(500), "some facts")
    await stage.start("ingest-extra", trouble="commits_seldom")
    await stage.until(lambda: stage.has_facts(events), "all facts")
    await stage.stop("ingest-0", "ingest-extra")
    await stage.start("profile-0")
    await stage.drained()
    return await stage.events_of(ADA, events)


async def topic_made_anew(stage: Stage) -> Violations:
    """The topic `events` is deleted and made again: its offsets begin anew."""
    settings = stage.system.settings
    await stage.write(*(viewed(number) for number in range(30)))
    await stage.start("profile-0")
    await stage.drained()
    await stage.stop("profile-0")
    await make_anew(settings, topics.EVENTS.named(settings.namespace), settings.partitions)
    await stage.write(*(viewed(number) for number in range(100, 110)))
    await stage.system.start("profile-0", wrong=stage.wrong(), ready=False)
    if await stage.system.dead("profile-0", 10.0):
        refused = "incarnation" in stage.system.processes.tail("profile-0")
        return [] if refused else ["it ended without saying why"]
    return ["it goes on with another topic of that name"]


async def backup_restored(stage: Stage) -> Violations:
    """Redis is put back to a state of long before: it lost what was committed."""
    await stage.start("profile-0")
    await stage.write(*(viewed(number) for number in range(20)))
    await stage.drained()
    backup = stage.system.file_sizes()
    await stage.write(*(viewed(number) for number in range(20, 40)))
    await stage.drained()
    await asyncio.to_thread(stage.system.store.kill)
    stage.system.forget(backup)
    await asyncio.to_thread(stage.system.store.restart)
    if await stage.system.dead("profile-0", 10.0):
        refused = "attune rebuild" in stage.system.processes.tail("profile-0")
        return [] if refused else ["it ended without saying why"]
    return await stage.profiles()


async def handed_over_again(stage: Stage) -> Violations:
    """A visitor's past is stated again, once the customer's window has forgotten it."""
    past = [viewed(number, anonymous="device") for number in range(3)]
    await stage.start("profile-0")
    await stage.write(*past, login("login-1", "ada", "device"))
    await stage.drained()
    await stage.write(*(viewed(number) for number in range(10, 610)))
    await stage.drained()
    said = [
        ((record.key or b"").decode(), record.value or b"")
        for record in await stage.records(topics.EVENTS)
        if b'"profile_absorbed"' in (record.value or b"")
    ]
    if not said:
        raise Stalled("nothing was handed over")
    await stage.write_bytes(topics.EVENTS, *said)
    await stage.drained()
    return await stage.events_of(ADA, 604)


async def raw_events_accounted_for(stage: Stage) -> Violations:
    """Good and bad raw events go through ingest."""
    await _send_raw(stage, 20)
    await stage.start("ingest-0")
    await stage.ingested()
    return await stage.balance()


async def dies_at_a_dead_letter(stage: Stage) -> Violations:
    """Ingest dies where it was about to send a dead letter."""
    await _send_raw(stage, 20)
    await stage.start("ingest-0", trouble="dies_at_a_dead_letter")
    await stage.dies("ingest-0")
    await stage.start("ingest-0")
    await stage.ingested()
    return await stage.balance()


async def dies_before_its_facts_arrive(stage: Stage) -> Violations:
    """Ingest dies while its facts are on their way to the log."""
    await _send_raw(stage, 200)
    await stage.start("ingest-0", crash="before_flush:1")
    await stage.dies("ingest-0")
    await stage.start("ingest-0")
    await stage.ingested()
    return await stage.balance()


async def old_carts_imported(stage: Stage) -> Violations:
    """A cart of an export beside one that was really left behind."""
    await stage.write(carted("cart-1", "bob", source="import:shop"), carted("cart-2"))
    await stage.start("profile-0")

    async def said() -> bool:
        return bool(await stage.messages())

    await stage.until(said, "a message")
    await asyncio.sleep(1)
    await stage.drained()
    decided = await stage.decisions()
    return [] if decided == {"ada": 1} else [f"decisions: {dict(decided)}"]


async def rebuilt(stage: Stage) -> Violations:
    """All profiles are folded anew, after a message was published."""
    await stage.write(carted("cart-1"), *(viewed(number) for number in range(20)))
    await stage.start("profile-0")

    async def said() -> int:
        topic = topics.triggers("email")
        return len(await stage.records(topic))

    await stage.until(said, "a message")
    await stage.drained()
    code, words = await stage.command("rebuild", "--grace", "0")
    if code:
        raise Stalled(words[-300:])
    await stage.drained()
    await asyncio.sleep(1)
    again = await said() - 1
    return [f"{again} messages published again"] if again else await stage.profiles()


async def bought_in_what_is_still_to_be_read(stage: Stage) -> Violations:
    """After a pause the log holds a cart left behind, much else, and then its purchase."""
    now = real_now_ms()
    line = facts.Line(item="lamp")
    order = facts.Purchased(
        event_id="order-1",
        occurred_at=now - HOUR,
        received_at=now,
        customer="ada",
        order="o-1",
        lines=[line],
        total=1,
        currency="EUR",
    )
    await stage.write(carted("cart-1"), *(viewed(number) for number in range(3_000)), order)
    await stage.start("profile-0")
    await stage.drained()
    decided = (await stage.decisions())["ada"]
    return ["a message about a cart that was bought"] if decided else []


async def dies_after_counting(stage: Stage) -> Violations:
    """A member dies between counting items and writing the profiles of the same batch."""
    await stage.write(*(viewed(number) for number in range(50)))
    await stage.start("profile-0", crash="after_items:1")
    await stage.dies("profile-0")
    await stage.start("profile-0")
    await stage.drained()
    views = await stage.item_views()
    return [] if views == 50 else [f"{views} views of items instead of 50"]


async def dies_after_noting(stage: Stage) -> Violations:
    """A member dies once it has written a cart, and before it has written anything else."""
    await stage.write(carted("cart-1"))
    await stage.start("profile-0", crash="after_save:1")
    await stage.dies("profile-0")
    await stage.start("profile-0")
    return await _comes_to_one_decision(stage)


async def dies_while_deciding(stage: Stage) -> Violations:
    """A member dies before its third write: the cart and the decision on it are in the store, or
    should be; that it came back from the log is not."""
    await stage.write(carted("cart-1"))
    await stage.start("profile-0", crash="before_save:3")
    await stage.dies("profile-0")
    await stage.start("profile-0")
    return await _comes_to_one_decision(stage)


async def stated_again(stage: Stage) -> Violations:
    """A verdict is stated again with another content, once the window has forgotten the first."""
    await stage.start("profile-0")
    await stage.write_bytes(topics.EVENTS, (ADA, facts.encode(_decision("lamp"))))
    await stage.drained()
    await stage.write(*(viewed(number) for number in range(600)))
    await stage.drained()
    await stage.write_bytes(topics.EVENTS, (ADA, facts.encode(_decision("rug"))))
    await stage.drained()
    contents = await stage.messages()
    if not contents:
        raise Stalled("no message at all")
    return [f"{len(each)} contents of one id" for each in contents.values() if len(each) > 1]


async def _comes_to_one_decision(stage: Stage) -> Violations:
    with suppress(TimeoutError):
        async with asyncio.timeout(DECIDED_S):
            await stage.until(stage.decisions, "a decision")
    await stage.drained()
    decided = (await stage.decisions())["ada"]
    return [] if decided == 1 else [f"{decided} decisions for one cart"]


def _decision(item: str) -> facts.MessageDecided:
    now = real_now_ms()
    trigger = Trigger(
        decision_id="trigger-1",
        scenario="cart_abandoned",
        customer="ada",
        channel="email",
        style="reminder",
        not_before=now,
        expires_at=now + HOUR,
        dedupe_key="trigger-1",
        priority=1,
        fatigue=Fatigue(used=0, budget=1, window=24),
        arm="all",
        evidence=[],
        payload=Payload(items=[item]),
    )
    return facts.MessageDecided(
        event_id="decision-1",
        occurred_at=now,
        received_at=now,
        customer="ada",
        trigger_id="trigger-1",
        scenario="cart_abandoned",
        channel="email",
        verdict="send",
        reason="allowed",
        due=now - HOUR,
        trigger=encode(trigger),
    )


def _raw(kind: str, event_id: str, **fields: str) -> tuple[str, bytes]:
    event = {"type": kind, "event_id": event_id, "customer": "ada", **fields}
    return "ada", json.dumps(event).encode()


async def _send_raw(stage: Stage, count: int) -> None:
    good = [_raw("item_viewed", f"view-{number}", item="lamp") for number in range(count)]
    bad = [_raw("item_teleported", f"bad-{number}", item="lamp") for number in range(2)]
    await stage.write_bytes(topics.CLICKSTREAM, *good, *bad)


async def _forget(stage: Stage, known: dict[str, int], began: float) -> None:
    """Puts Redis back to what it was then, as a crash does that takes the last second along."""
    await asyncio.to_thread(stage.system.store.kill)
    if time.monotonic() - began > LOSABLE_S:
        raise Stalled("took longer than what Redis may lose")
    if not stage.system.forget(known):
        raise Stalled("Redis had nothing to lose")
    await asyncio.to_thread(stage.system.store.restart)


SCENARIOS: Final[dict[str, Callable[[Stage], Awaitable[Violations]]]] = {
    "position": redelivered_beyond_the_window,
    "event_id_window": sent_again,
    "deterministic_trigger_ids": decided_again,
    "compare_and_set": zombie,
    "commit_after_apply": dies_before_writing,
    "commit_after_publish": dies_before_publishing,
    "commit_what_is_durable": redis_forgets,
    "server_watch": redis_forgets,
    "outbox_in_the_same_write": dies_before_publishing,
    "first_fact_wins": decided_with_two_contents,
    "drain_on_revoke": rebalanced_in_the_middle,
    "incarnation": topic_made_anew,
    "committed_is_in_the_store": backup_restored,
    "absorbed_watermark": handed_over_again,
    "source_in_the_balance": raw_events_accounted_for,
    "dead_letter_before_commit": dies_at_a_dead_letter,
    "ingest_commits_what_is_sent": dies_before_its_facts_arrive,
    "imports_decide_nothing": old_carts_imported,
    "replay_publishes_nothing": rebuilt,
    "timers_wait_for_the_log": bought_in_what_is_still_to_be_read,
    "item_positions": dies_after_counting,
    "moments_in_the_same_write": dies_after_noting,
    "verdict_in_the_same_write": dies_while_deciding,
    "verdict_marks": stated_again,
}
"""Guard → the play in which it is the only one that helps."""
