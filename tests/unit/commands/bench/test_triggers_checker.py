"""The checker finds each planted violation, and nothing where all is well."""

from dataclasses import replace

import pytest

from services.commands.bench.triggers_checker import BROKEN, check
from services.commands.bench.triggers_rules import milliseconds
from tests.unit.commands.bench.logs import DAY, HOUR, MINUTE, SPEED, START, Log, rules

LATER = 3 * HOUR
"""Long enough in real time to have arrived: 3 s."""


def found(log: Log) -> dict[str, int]:
    findings = check(log.gathered, rules())
    assert findings.unmatched == 0
    return {name: count for name, count in findings.violations.items() if count}


def in_flight(log: Log) -> dict[str, int]:
    return dict(check(log.gathered, rules()).in_flight)


def test_nothing_is_wrong_where_nothing_is() -> None:
    log = Log()
    log.item("lamp", 5, START - DAY)
    log.fact("item_viewed", START - HOUR, item="lamp")
    log.send("cart", START, items=("lamp",), item="lamp")
    log.send("parcel", START + 3 * HOUR)
    log.send("bonus", START + 9 * DAY)
    findings = check(log.gathered, rules())
    assert dict(findings.violations) == dict.fromkeys(BROKEN, 0)
    assert findings.in_flight == {}


@pytest.mark.parametrize(
    ("times", "violations"),
    [
        ((0, DAY), 0),
        ((0, DAY - 1), 1),
        ((0, 2 * DAY, 4 * DAY), 1),
        ((0, 2 * DAY, 7 * DAY), 0),
        ((0, 2 * DAY, 7 * DAY - 1), 1),
    ],
)
def test_windows_roll(times, violations) -> None:
    log = Log()
    for time in times:
        log.send("cart", START + time)
    assert found(log).get("budget", 0) == violations


def test_a_budget_knows_no_midnight() -> None:
    log = Log()
    log.send("cart", START + 7 * HOUR)
    log.send("cart", START + 20 * HOUR)
    assert found(log) == {"budget": 1}


def test_budgets_of_a_tag_and_of_a_channel() -> None:
    log = Log()
    log.send("bonus", START)
    log.send("bonus", START + 13 * DAY)
    assert found(log) == {"budget": 1}
    log = Log()
    log.send("cart", START, channel="sms")
    log.send("cart", START + 2 * DAY, channel="sms")
    assert found(log) == {"budget": 1}


def test_what_must_be_said_counts_and_is_free() -> None:
    log = Log()
    log.send("parcel", START)
    log.send("cart", START + HOUR)
    assert found(log) == {"budget": 1}
    log = Log()
    log.send("cart", START)
    log.send("parcel", START)
    log.send("parcel", START + MINUTE)
    assert found(log) == {"budget": 1}  # at one moment what must be said comes first


@pytest.mark.parametrize(
    ("zone", "hour", "quiet"),
    [
        (None, 7.9, False),
        (None, 8, True),
        ("Asia/Tokyo", 0, True),
        ("Asia/Tokyo", 11, False),
        ("America/New_York", 0.9, True),
        ("America/New_York", 1, False),
        ("Mars/Olympus", 8, True),
    ],
)
def test_nights_are_the_customers_own(zone, hour, quiet) -> None:
    log = Log()
    traits = {} if zone is None else {"timezone": zone}
    log.fact("traits_set", START - DAY, traits=traits)
    log.send("cart", START + int(hour * HOUR))
    assert found(log) == ({"quiet": 1} if quiet else {})


def test_nights_follow_the_change_of_clocks() -> None:
    morning = START + 28 * DAY - 6 * HOUR  # 2026-03-29 06:00 UTC, 08:00 in Berlin from that day
    log = Log()
    log.send("cart", morning)
    log.send("cart", morning - DAY, customer="bob")
    assert found(log) == {"quiet": 1}


def test_channels_that_do_not_wake_may_speak_at_night() -> None:
    log = Log()
    log.send("cart", START + 10 * HOUR, channel="onsite")
    assert found(log) == {}
    log.send("parcel", START + 11 * HOUR, customer="bob")
    assert found(log) == {"quiet": 1}


@pytest.mark.parametrize(
    ("words", "scenario", "wrong"),
    [
        ([("marketing", "email", False)], "cart", True),
        ([("marketing", None, False)], "cart", True),
        ([("marketing", "push", False)], "cart", False),
        ([("marketing", "email", False), ("marketing", "email", True)], "cart", False),
        ([("marketing", "email", True), ("marketing", None, False)], "cart", True),
        ([("service", None, False)], "parcel", False),
        ([("care", None, False)], "thanks", True),
        ([], "thanks", False),
        ([], "letter", True),
        ([("news", None, True)], "letter", False),
    ],
)
def test_consent(words, scenario, wrong) -> None:
    log = Log()
    for number, (purpose, channel, granted) in enumerate(words):
        where = {"channel": channel} if channel else {}
        at = START - DAY + number * MINUTE
        log.fact("consent_changed", at, purpose=purpose, granted=granted, **where)
    log.send(scenario, START)
    assert found(log) == ({"consent": 1} if wrong else {})


def test_who_unsubscribed_hears_no_more() -> None:
    log = Log()
    log.fact("message_unsubscribed", START - LATER, channel="email")
    log.send("cart", START)
    log.send("thanks", START + 8 * DAY)
    log.send("parcel", START + 9 * DAY)
    log.send("cart", START + 16 * DAY, channel="push")
    assert found(log) == {"consent": 2}


@pytest.mark.parametrize(("paused", "wrong"), [((True,), 1), ((True, False), 0)])
def test_who_does_not_want_to_be_known_hears_what_is_owed(paused, wrong) -> None:
    log = Log()
    for number, each in enumerate(paused):
        log.fact("profiling_paused", START - DAY + number, paused=each)
    log.send("cart", START)
    log.send("parcel", START)
    assert found(log).get("consent", 0) == wrong


def test_what_was_still_on_its_way_is_told_beside() -> None:
    log = Log()
    log.item("lamp", 0, START - SPEED // 2)
    log.send("cart", START, items=("lamp",))
    log.fact("item_viewed", START + 8 * DAY, item="sofa")
    log.bought("sofa", START + 9 * DAY - SPEED // 2)
    log.send("restock", START + 9 * DAY, item="sofa")
    assert found(log) == {}
    assert in_flight(log) == {"stock": 1, "bought": 1}


def test_a_no_counts_however_short_before_the_decision_the_log_has_it() -> None:
    log = Log()
    log.fact("message_unsubscribed", START - 1, channel="email")
    log.send("cart", START)
    assert found(log) == {"consent": 1}


def test_what_comes_after_in_the_log_does_not_count() -> None:
    log = Log()
    log.send("restock", START, item="lamp")
    log.fact("consent_changed", START - DAY, purpose="marketing", granted=False)
    log.bought("lamp", START - DAY)
    assert found(log) == {}


def test_a_holdout_hears_nothing_and_arms_never_change() -> None:
    log = Log()
    log.fact("arm_assigned", START - DAY, experiment="holdout", arm="held_out")
    log.fact("arm_assigned", START - DAY, "bob", experiment="holdout:bonus", arm="held_out")
    log.send("cart", START)
    log.send("parcel", START + HOUR)
    log.send("bonus", START, customer="bob")
    log.send("cart", START + 2 * DAY, customer="bob")
    assert found(log) == {"holdout": 2}
    log.fact("arm_assigned", START, experiment="holdout", arm="treated")
    assert found(log) == {"holdout": 3}


def test_without_an_arm_in_the_log_it_may_have_been_one_held_out() -> None:
    log = Log()
    log.send("cart", START)
    log.gathered.arms.clear()
    assert found(log) == {"holdout": 1}


def untold(log: Log) -> int:
    # What is decided last may have been on its way when the run ended.
    log.send("cart", START + 60 * DAY, customer="last")
    return check(log.gathered, rules()).untold


def test_every_verdict_is_told_with_its_reason_and_its_next_time() -> None:
    log = Log()
    log.send("cart", START)
    name = log.hold(START + HOUR, START + 2 * HOUR)
    assert untold(log) == 1
    for wrong in (("budget", None), ("quiet_hours", START + 2 * HOUR)):
        log.gathered.suppression(name, {"suppressed_by": wrong[0], "retry_at": wrong[1]})
        assert untold(log) == 1
    log.gathered.suppression(name, {"suppressed_by": "budget", "retry_at": START + 2 * HOUR})
    assert untold(log) == 0
    log.send("cart", START + 9 * DAY, told=False)
    fact = f"e{log.count}"
    assert untold(log) == 1
    log.gathered.suppression(fact, {"suppressed_by": "consent"})
    assert untold(log) == 0


def test_what_ended_with_the_run_or_with_its_life_is_told_beside() -> None:
    log = Log()
    log.send("cart", START, told=False)
    assert check(log.gathered, rules()).untold == 0
    assert in_flight(log) == {"told": 1}
    assert untold(log) == 1
    (sent,) = [each for each in log.gathered.verdicts if each.customer == "alice"]
    log.gathered.verdicts.remove(sent)
    log.gathered.verdicts.append(replace(sent, expires_at=START + HOUR))
    assert untold(log) == 0
    assert in_flight(log) == {"expired": 1}


def test_the_end_of_a_partition_is_what_lies_behind_the_last_that_was_told() -> None:
    log = Log()
    log.send("cart", START, told=False)
    (sent,) = log.gathered.verdicts
    log.gathered.verdicts[0] = replace(sent, partition=1)
    log.send("cart", START + 5 * DAY, customer="bob")
    assert check(log.gathered, rules()).untold == 1, "no end of a run takes five days"
    log.gathered.verdicts[0] = replace(sent, partition=1, written_at=sent.written_at + 119_000)
    assert check(log.gathered, rules()).untold == 0
    log.gathered.verdicts[0] = replace(sent, written_at=sent.written_at + 119_000)
    assert check(log.gathered, rules()).untold == 1


def test_sold_out_items_are_not_spoken_of() -> None:
    log = Log()
    log.item("lamp", 5, START - DAY)
    log.item("lamp", 0, START - LATER)
    log.item("sofa", None, START - DAY)
    log.send("cart", START, items=("sofa", "lamp"))
    log.send("restock", START, customer="bob", item="lamp")
    log.send("bonus", START, customer="carol", items=("sofa",))
    assert found(log) == {"stock": 2}
    log = Log()
    log.item("lamp", 0, START - DAY)
    log.item("lamp", 5, START - MINUTE)
    log.send("restock", START, item="lamp")
    log.item("sofa", 0, START - DAY)
    log.item("sofa", 5, START + 2 * MINUTE)  # before the message was out
    log.send("restock", START, customer="bob", item="sofa")
    assert found(log) == {}
    assert in_flight(log) == {"stock": 1}


@pytest.mark.parametrize(
    ("bought_at", "viewed_again", "wrong"),
    [(-LATER, None, True), (-LATER, -HOUR, False), (-3 * DAY, None, False)],
)
def test_bought_items_are_not_spoken_of(bought_at, viewed_again, wrong) -> None:
    log = Log()
    if bought_at > -DAY:
        log.fact("item_viewed", START - DAY, item="lamp")
        log.bought("lamp", START + bought_at)
    else:
        log.bought("lamp", START + bought_at)
        log.fact("item_viewed", START - DAY, item="lamp")
    if viewed_again is not None:
        log.fact("item_viewed", START + viewed_again, item="lamp")
    log.send("restock", START, item="lamp")
    assert found(log) == ({"bought": 1} if wrong else {})


def test_what_a_message_rests_on_must_not_be_bought_either() -> None:
    log = Log()
    log.fact("cart_added", START - DAY, item="lamp")
    lamp = f"e{log.count}"
    log.fact("cart_added", START - DAY, item="sofa")
    sofa = f"e{log.count}"
    log.bought("sofa", START - LATER)
    log.send("cart", START, item="lamp", evidence=(lamp,))
    assert found(log) == {}
    log.send("cart", START + 9 * DAY, item="lamp", evidence=(lamp, sofa))
    assert found(log) == {"bought": 1}


def test_messages_about_what_was_bought_may_be_about_it() -> None:
    log = Log()
    log.bought("lamp", START - LATER)
    log.send("bonus", START, item="lamp")
    assert found(log) == {}


def test_a_message_without_a_decision_or_with_two_contents_is_told() -> None:
    log = Log()
    name = log.send("cart", START)
    data = {"customer": "alice", "scenario": "cart", "payload": {"items": []}}
    log.gathered.trigger(name, "email", data, 1)
    assert check(log.gathered, rules()).unmatched == 0
    log.gathered.trigger(name, "push", data, 1)
    assert check(log.gathered, rules()).unmatched == 1
    log.gathered.trigger("out of nowhere", "email", data, 1)
    assert check(log.gathered, rules()).unmatched == 2


def test_spans() -> None:
    assert [milliseconds(text) for text in ("90m", "24h", "7d")] == [90 * MINUTE, DAY, 7 * DAY]
