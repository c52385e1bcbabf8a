"""What holds of the arbiter whatever it is asked: monotone, within bounds, the same each time."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.profile.arbiter.decide import arbitrate
from services.profile.arbiter.fatigue import stretch
from services.profile.arbiter.policy import Budget, QuietHours
from services.profile.contact import Contact
from services.profile.registers import Consent
from tests.unit.profile.arbiter.standings import (
    CHANNELS,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    ZONES,
    apply,
    candidate,
    candidates,
    policies,
    policy,
    standing,
    standings,
)

PLENTY = settings(max_examples=400)


def verdict(found, asked, rules, now=NOW) -> str:
    return arbitrate(found, [asked], rules, now)[0].verdict


@PLENTY
@given(standings, candidates, policies, st.data())
def test_more_consent_never_sends_less(found, asked, rules, data) -> None:
    purposes = st.sampled_from([asked.purpose, "*"])
    key = f"{data.draw(purposes)}|{data.draw(st.sampled_from(['*', *CHANNELS]))}"
    granted = {**found.consents, key: Consent(granted=NOW)}
    undenied = {name: each for name, each in found.consents.items() if name != key}
    before = verdict(found, asked, rules)
    for more in (granted, granted if found.consents.get(key) else undenied):
        after = verdict(replace(found, consents=more, profiled=True), asked, rules)
        assert before != "send" or after == "send"


@PLENTY
@given(standings, candidates, policies, st.data())
def test_a_smaller_budget_never_sends_more(found, asked, rules, data) -> None:
    tighter = tuple(
        replace(
            budget,
            messages=data.draw(st.integers(0, budget.messages)),
            window_ms=budget.window_ms * data.draw(st.integers(1, 3)),
        )
        for budget in rules.budgets
    ) + data.draw(st.sampled_from([(), (Budget(messages=1, window_ms=DAY),)]))
    after = verdict(found, asked, replace(rules, budgets=tighter))
    assert after != "send" or verdict(found, asked, rules) == "send"


@PLENTY
@given(standings, candidates, policies, st.integers(0, 20 * DAY))
def test_time_moving_forward_never_unsends(found, asked, rules, passed) -> None:
    """But for what time alone does: the night falls, or the moment is over."""
    if verdict(found, asked, rules) != "send":
        return
    rules = replace(rules, quiet=None)
    asked = replace(asked, expires_at=asked.expires_at + passed)
    assert verdict(found, asked, rules, NOW + passed) == "send"


@PLENTY
@given(standings, candidates, policies)
def test_what_is_held_names_a_time_at_which_it_can_go(found, asked, rules) -> None:
    decision = arbitrate(found, [asked], rules, NOW)[0]
    if decision.verdict == "hold":
        assert NOW < decision.retry_at < asked.expires_at
        assert verdict(found, asked, rules, decision.retry_at) == "send"


@PLENTY
@given(standings, st.lists(candidates, min_size=1, max_size=5), policies)
def test_one_at_most_goes_besides_what_must(found, asked, rules) -> None:
    decisions = arbitrate(found, asked, rules, NOW)
    assert [each.candidate for each in decisions] == asked
    sent = [each for each in decisions if each.verdict == "send"]
    assert sum(each.candidate.purpose != "service" for each in sent) <= 1
    assert all((each.reason == "allowed") == (each.verdict == "send") for each in decisions)
    assert decisions == arbitrate(found, asked, rules, NOW)


def in_quiet_hours(quiet: QuietHours, zone: str, at: int) -> bool:
    """By the clock on the wall, and nothing else."""
    wall = datetime.fromtimestamp(at / 1000, ZoneInfo(zone))
    minute = wall.hour * 60 + wall.minute
    if quiet.begin <= quiet.end:
        return quiet.begin <= minute < quiet.end
    return minute >= quiet.begin or minute < quiet.end


def over_budget(budget: Budget, sent, transactional) -> bool:
    """Whether a message that is bound by the budget went when it was used up."""
    counted = [
        each
        for each in sent
        if (budget.channel in {None, each[1]}) and (budget.tag is None or budget.tag in each[2])
    ]
    for place, (at, _, _, purpose) in enumerate(counted):
        within = [each for each in counted[: place + 1] if at - budget.window_ms < each[0] <= at]
        if purpose not in transactional and len(within) > budget.messages:
            return True
    return False


changes_of_clocks = st.sampled_from(
    [
        datetime(2026, 3, 28, 12, tzinfo=UTC),
        datetime(2026, 10, 24, 12, tzinfo=UTC),
        datetime(2026, 3, 7, 20, tzinfo=UTC),
        datetime(2026, 10, 31, 20, tzinfo=UTC),
        datetime(2026, 4, 4, 2, tzinfo=UTC),
        datetime(2026, 7, 1, 0, tzinfo=UTC),
    ]
).map(lambda day: int(day.timestamp() * 1000))


@settings(max_examples=300)
@given(
    policies,
    st.sampled_from(ZONES),
    changes_of_clocks,
    st.lists(st.tuples(st.integers(0, 9 * HOUR), st.lists(candidates, max_size=3)), max_size=25),
)
def test_no_sequence_breaks_a_budget_the_night_or_an_arm(rules, zone, start, steps) -> None:
    contact, now, sent, arms = Contact(), start, [], {}
    for number, (wait, asked) in enumerate(steps):
        now += wait
        named = [
            replace(each, trigger_id=f"{number}-{place}", expires_at=now + DAY)
            for place, each in enumerate(asked)
        ]
        found = replace(standing(zone=zone), contact=contact, sent=contact.sent)
        found = replace(found, stretch=stretch(contact.sent))
        decisions = arbitrate(found, named, rules, now)
        for decision in sorted(decisions, key=lambda each: each.candidate.purpose != "service"):
            chosen = decision.candidate
            if decision.verdict == "send":
                sent.append((now, decision.channel, chosen.tags, chosen.purpose))
                quiet = rules.quiet
                if quiet is not None:
                    quietens = not quiet.channels or decision.channel in quiet.channels
                    assert not (quietens and in_quiet_hours(quiet, zone, now))
            if chosen.purpose != "service" and decision.reason != "consent":
                assert arms.setdefault(chosen.scenario, decision.arm) == decision.arm
        apply(contact, decisions, now, rules.transactional)
        assert not any(over_budget(budget, sent, rules.transactional) for budget in rules.budgets)


@pytest.mark.parametrize("outcome", [0, 4])
def test_a_flood_of_transactional_messages_hides_nothing(outcome) -> None:
    """The contact keeps 64: what was forgotten might have used the budget up."""
    contact = Contact()
    rules = policy(budgets=(Budget(messages=1, window_ms=14 * DAY, tag="discount"),))
    found = standing()
    first = [candidate(trigger_id="first", tags=frozenset({"discount"}))]
    apply(contact, arbitrate(found, first, rules, NOW), NOW, rules.transactional)
    for minute in range(1, 70):
        at = NOW + minute * MINUTE
        letter = [candidate(trigger_id=f"t{minute}", scenario="parcel", purpose="service")]
        here = replace(found, contact=contact, sent=contact.sent)
        apply(contact, arbitrate(here, letter, rules, at), at, rules.transactional)
    assert all(each.scenario == "parcel" for each in contact.sent)
    again = candidate(trigger_id="again", tags=frozenset({"discount"}))
    here = replace(found, contact=contact, sent=contact.sent)
    decision = arbitrate(here, [again], rules, NOW + 2 * HOUR)[0]
    assert (decision.verdict, decision.reason) == ("hold", "budget")
    assert arbitrate(here, [again], rules, NOW + 15 * DAY)[0].verdict == "send"
