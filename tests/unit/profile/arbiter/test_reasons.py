"""Each reason that the arbiter gives, and what it says with it."""

import pytest

from services.profile.arbiter.arms import GLOBAL, HELD_OUT, TREATED, arms_of, conflicts
from services.profile.arbiter.channels import answered_draw, answered_mean
from services.profile.arbiter.decide import GAP_MS, arbitrate
from services.profile.arbiter.fatigue import LONGEST_STRETCH, stretch
from services.profile.arbiter.policy import Budget, Holdout, QuietHours
from services.profile.arbiter.standing import standing_of
from services.profile.component import Component
from services.profile.contact import BOUNCED, CLICKED, OPENED, UNSUBSCRIBED, Contact, Responses
from services.profile.registers import Consent, Mark, Trait
from tests.unit.profile.arbiter.standings import (
    DAY,
    HOUR,
    MINUTE,
    NOW,
    candidate,
    message,
    policy,
    standing,
)

EVERYBODY_OUT = Holdout(share=1.0, salt="s")
DAILY = Budget(messages=1, window_ms=DAY)
WEEKLY = Budget(messages=3, window_ms=7 * DAY)
NIGHT = QuietHours(begin=21 * 60, end=8 * 60)


def decide(found=None, now=NOW, rules=None, **fields):
    return arbitrate(found or standing(), [candidate(**fields)], rules or policy(), now)[0]


def test_nothing_against_it() -> None:
    decision = decide()
    assert (decision.verdict, decision.reason, decision.channel) == ("send", "allowed", "email")
    assert (decision.retry_at, decision.fatigue, decision.arm) == (None, None, "all")


@pytest.mark.parametrize(
    ("purpose", "consents", "sends"),
    [
        ("marketing", {}, True),
        ("marketing", {"marketing|email": Consent(denied=5)}, False),
        ("marketing", {"marketing|*": Consent(denied=5)}, False),
        ("marketing", {"marketing|push": Consent(denied=5)}, True),
        ("marketing", {"marketing|email": Consent(granted=6, denied=5)}, True),
        ("marketing", {"marketing|email": Consent(anonymous_granted=6, denied=5)}, False),
        ("marketing", {"marketing|*": Consent(5, 6), "marketing|email": Consent(9)}, False),
        ("news", {}, False),
        ("news", {"news|*": Consent(granted=5)}, True),
        ("news", {"marketing|*": Consent(granted=5)}, False),
        ("service", {"service|*": Consent(denied=5)}, True),
        ("unlisted", {"unlisted|email": Consent(denied=5)}, False),
        ("news", {"news|*": Consent(granted=5), "*|email": Consent(denied=6)}, False),
        ("unlisted", {"*|email": Consent(denied=6)}, False),
        ("unlisted", {"*|*": Consent(denied=6)}, False),
        ("unlisted", {"*|push": Consent(denied=6)}, True),
        ("news", {"news|email": Consent(granted=7), "*|email": Consent(denied=6)}, True),
        ("news", {"news|*": Consent(granted=7), "*|email": Consent(denied=6)}, False),
        ("service", {"*|*": Consent(denied=6)}, True),
    ],
)
def test_consent_by_purpose_channel_and_basis(purpose, consents, sends) -> None:
    decision = decide(standing(consents=consents), purpose=purpose)
    assert (decision.verdict == "send") == sends
    assert sends or (decision.verdict, decision.reason) == ("suppress", "consent")


def test_a_denied_channel_leaves_the_others() -> None:
    found = standing(consents={"marketing|email": Consent(denied=5)})
    assert decide(found, channels=("email", "push")).channel == "push"


def test_who_does_not_want_to_be_known_gets_what_the_contract_needs() -> None:
    assert decide(standing(profiled=False)).reason == "consent"
    assert decide(standing(profiled=False), purpose="service").verdict == "send"


def test_the_holdout_gets_nothing_but_what_must_be_said() -> None:
    rules = policy(holdout=EVERYBODY_OUT)
    decision = decide(rules=rules)
    assert (decision.verdict, decision.reason, decision.arm) == ("suppress", "holdout", HELD_OUT)
    assert decision.unrecorded == ((GLOBAL, HELD_OUT),)
    must = decide(rules=rules, purpose="service")
    assert (must.verdict, must.arm, must.unrecorded) == ("send", "all", ())


def test_consent_is_asked_before_the_holdout() -> None:
    denied = standing(consents={"marketing|*": Consent(denied=5)})
    decision = decide(denied, rules=policy(holdout=EVERYBODY_OUT))
    assert (decision.reason, decision.unrecorded) == ("consent", ())


def test_a_scenario_has_a_holdout_of_its_own() -> None:
    rules = policy(scenario_holdouts={"cart": EVERYBODY_OUT})
    decision = decide(rules=rules)
    assert (decision.reason, decision.unrecorded) == ("holdout", (("holdout:cart", HELD_OUT),))
    assert decide(rules=rules, scenario="birthday").verdict == "send"


def test_a_recorded_arm_stands_whatever_becomes_of_the_shares() -> None:
    treated = standing(arms={GLOBAL: TREATED})
    decision = decide(treated, rules=policy(holdout=EVERYBODY_OUT))
    assert (decision.verdict, decision.arm, decision.unrecorded) == ("send", TREATED, ())
    assert decide(standing(arms={GLOBAL: HELD_OUT})).reason == "holdout"


def test_arms_are_drawn_by_their_shares_and_grow_with_them() -> None:
    def out(share):
        rules = policy(holdout=Holdout(share=share, salt="s"))
        names = [f"c{number}" for number in range(4000)]
        return {name for name in names if arms_of(name, "cart", {}, rules).arm == HELD_OUT}

    small, large = out(0.05), out(0.1)
    assert small < large
    assert 150 < len(small) < 250


def test_conflicting_arms_contaminate() -> None:
    rules = policy(holdout=Holdout(share=0.5, salt="s"))
    visitors = [f"v{number}" for number in range(200)]
    drawn = {name: conflicts(name, "alice", rules) for name in visitors}
    assert 60 < sum(drawn.values()) < 140
    alice = arms_of("alice", "cart", {}, rules).arm
    other = TREATED if alice == HELD_OUT else HELD_OUT
    assert all(conflicts(name, "alice", rules, {GLOBAL: other}) != drawn[name] for name in visitors)
    assert not any(conflicts(name, "alice", policy()) for name in visitors)
    # Nobody is held out any more; who was still is, and visitors get what the others get.
    assert all(conflicts(name, "alice", policy(), {GLOBAL: HELD_OUT}) for name in visitors)


def test_the_same_trigger_is_said_once() -> None:
    assert decide(standing(sent=[message(message="trigger")])).reason == "duplicate"


def test_what_is_over_is_not_said() -> None:
    assert decide(expires_at=NOW).reason == "expired"


def test_a_scenario_keeps_its_cooldown() -> None:
    found = standing(spoke={"cart": NOW - HOUR})
    decision = decide(found, cooldown_ms=DAY)
    assert (decision.verdict, decision.reason) == ("suppress", "cooldown")
    assert decision.retry_at == NOW + 23 * HOUR
    assert decide(found, cooldown_ms=HOUR).verdict == "send"


def test_a_window_rolls_and_knows_no_midnight() -> None:
    found = standing(sent=[message(at=NOW - HOUR)])
    decision = decide(found, rules=policy(budgets=(DAILY,)))
    assert (decision.verdict, decision.reason) == ("hold", "budget")
    assert decision.retry_at == NOW + 23 * HOUR
    assert decide(found, decision.retry_at - 1, policy(budgets=(DAILY,))).verdict == "hold"
    assert decide(found, decision.retry_at, policy(budgets=(DAILY,))).verdict == "send"


def test_too_late_to_wait_is_no() -> None:
    found = standing(sent=[message(at=NOW - HOUR)])
    decision = decide(found, rules=policy(budgets=(DAILY,)), expires_at=NOW + HOUR)
    assert (decision.verdict, decision.reason) == ("suppress", "budget")
    assert decision.retry_at == NOW + 23 * HOUR


def test_the_fatigue_told_is_the_tightest_budget() -> None:
    found = standing(sent=[message(at=NOW - 2 * DAY), message(at=NOW - 3 * DAY)])
    fatigue = decide(found, rules=policy(budgets=(DAILY, WEEKLY))).fatigue
    assert (fatigue.used, fatigue.budget, fatigue.window_ms) == (2, 3, 7 * DAY)


@pytest.mark.parametrize(
    ("budget", "blocks"),
    [
        (Budget(messages=1, window_ms=DAY, channel="sms"), False),
        (Budget(messages=1, window_ms=DAY, channel="email"), True),
        (Budget(messages=1, window_ms=DAY, tag="discount"), True),
        (Budget(messages=1, window_ms=DAY, tag="reminder"), False),
        (Budget(messages=0, window_ms=DAY), True),
    ],
)
def test_budgets_of_a_channel_and_of_a_tag(budget, blocks) -> None:
    found = standing(sent=[message(tags=("discount",))])
    decision = decide(found, rules=policy(budgets=(budget,)), tags=frozenset({"discount"}))
    assert (decision.reason == "budget") == blocks


def test_nothing_is_promised_where_nothing_is_ever_allowed() -> None:
    decision = decide(rules=policy(budgets=(Budget(messages=0, window_ms=DAY),), quiet=NIGHT))
    assert (decision.verdict, decision.retry_at) == ("suppress", None)


def test_a_full_channel_gives_way_to_a_free_one() -> None:
    rules = policy(budgets=(Budget(messages=1, window_ms=DAY, channel="email"),))
    found = standing(sent=[message()])
    assert decide(found, rules=rules, channels=("email", "push")).channel == "push"


def test_transactional_messages_pass_but_count() -> None:
    found = standing(sent=[message()])
    assert decide(found, rules=policy(budgets=(DAILY,)), purpose="service").verdict == "send"
    worthless = policy(annoyance=20, lost_customer=2000)
    assert decide(rules=worthless, purpose="service", value=1.0).verdict == "send"
    both = [
        candidate(trigger_id="cart"),
        candidate(trigger_id="parcel", scenario="parcel", purpose="service"),
    ]
    first, second = arbitrate(standing(), both, policy(budgets=(DAILY,)), NOW)
    assert (first.verdict, first.reason, second.verdict) == ("hold", "budget", "send")
    assert first.retry_at == NOW + DAY


def test_transactional_messages_wait_for_the_morning_too() -> None:
    evening = NOW - NOW % DAY + 22 * HOUR
    rules = policy(budgets=(DAILY,), quiet=NIGHT)
    tired = standing(sent=[message(at=evening - HOUR)])
    held = decide(tired, evening, rules, purpose="service")
    assert (held.verdict, held.reason) == ("hold", "quiet_hours")
    assert held.retry_at == evening + 10 * HOUR
    assert decide(tired, held.retry_at, rules, purpose="service").verdict == "send"


def test_transactional_messages_avoid_dead_channels_while_there_is_another() -> None:
    gone = standing(sent=[message(at=NOW - n, outcome=BOUNCED) for n in range(3)])
    ways = [
        decide(gone, purpose="service", trigger_id=f"t{n}", channels=("email", "push")).channel
        for n in range(20)
    ]
    assert set(ways) == {"push"}
    assert decide(gone, purpose="service").verdict == "send"


def test_a_scenario_keeps_its_cooldown_within_one_round() -> None:
    both = [
        candidate(trigger_id=name, scenario="parcel", purpose="service", cooldown_ms=DAY)
        for name in ("one", "two")
    ]
    first, second = arbitrate(standing(), both, policy(), NOW)
    assert (first.verdict, second.verdict, second.reason) == ("send", "suppress", "cooldown")
    assert second.retry_at == NOW + DAY
    others = [candidate(trigger_id=name, cooldown_ms=DAY) for name in ("one", "two")]
    waits, goes = sorted(arbitrate(standing(), others, policy(), NOW), key=lambda d: d.verdict)
    assert (goes.verdict, waits.verdict, waits.retry_at) == ("send", "hold", NOW + DAY)


def test_a_flood_of_parcels_makes_nobody_less_tired() -> None:
    ignored = [message(at=NOW - DAY - n) for n in range(8)]
    parcels = [message(at=NOW - n, transactional=True) for n in range(40)]
    assert stretch([*parcels, *ignored]) == stretch(ignored) > 1.0


def test_who_ignores_hears_less_and_who_answers_as_much_as_before() -> None:
    def after(*outcomes):
        return stretch([message(at=NOW - n, outcome=each) for n, each in enumerate(outcomes)])

    assert after() == after(0, 0) == 1.0
    assert 1.0 < after(0, 0, 0) < after(0, 0, 0, 0) == 2.0
    assert after(*[0] * 64) == LONGEST_STRETCH
    assert after(OPENED, 0, 0, 0, 0) == 1.0
    assert after(OPENED, *[0] * 6) == 2.0
    assert after(OPENED | CLICKED, *[0] * 15) == 1.0
    assert after(UNSUBSCRIBED | OPENED) == after(*[BOUNCED] * 8) == 8.0
    assert stretch([message(transactional=True)] * 9) == 1.0


def test_tiredness_stretches_the_window() -> None:
    ignored = [message(at=NOW - number * 2 * DAY) for number in range(4)]
    decision = decide(standing(sent=ignored), rules=policy(budgets=(DAILY,)))
    assert decision.retry_at == NOW + 2 * DAY
    assert decision.fatigue.window_ms == 2 * DAY


def test_bounced_channels_are_avoided_and_then_given_up() -> None:
    once = standing(sent=[message(outcome=BOUNCED)])
    assert decide(once, channels=("email", "push")).channel == "push"
    assert decide(once).channel == "email"
    gone = standing(sent=[message(at=NOW - n, outcome=BOUNCED) for n in range(3)])
    assert (decide(gone).verdict, decide(gone).reason) == ("suppress", "unreachable")
    again = standing(sent=[message(), *gone.sent])
    assert decide(again).verdict == "send"


def test_what_costs_more_than_it_brings_is_not_said() -> None:
    rules = policy(annoyance=20, lost_customer=2000)
    poor = decide(rules=rules, value=25.0)
    assert (poor.verdict, poor.reason, poor.retry_at) == ("suppress", "not_worth_it", None)
    assert decide(rules=rules, value=35.0).verdict == "send"
    assert decide(rules=rules, value=None).verdict == "send"
    left = standing(responses={"email": Responses(sent=5, unsubscribed=1)})
    assert decide(left, rules=rules, value=35.0).reason == "not_worth_it"


def test_the_preferred_channel_is_learned_and_still_explored() -> None:
    found = standing(responses={"email": Responses(sent=30), "push": Responses(30, 20, 15)})
    chosen = [
        decide(found, trigger_id=f"t{number}", channels=("email", "push")).channel
        for number in range(300)
    ]
    assert 285 < chosen.count("push") <= 300
    young = standing(responses={"push": Responses(3, 1, 1)})
    chosen = [
        decide(young, trigger_id=f"t{number}", channels=("email", "push")).channel
        for number in range(300)
    ]
    assert 30 < chosen.count("email") < 150


def test_more_answers_than_messages_break_nothing() -> None:
    odd = Responses(sent=1, opened=9, clicked=7, unsubscribed=4, bounced=4)
    assert 0 < answered_draw(odd, "t", "email") < 1
    assert answered_mean(odd) == pytest.approx(2 / 6)
    assert decide(standing(responses={"email": odd}), rules=policy(lost_customer=9)).score < 0


def test_the_best_goes_and_the_others_wait_or_fall() -> None:
    asked = [
        candidate(trigger_id="a", scenario="cart", value=40.0),
        candidate(trigger_id="b", scenario="price", value=90.0),
        candidate(trigger_id="c", scenario="birthday", value=60.0, on_conflict="drop"),
        candidate(trigger_id="d", scenario="thanks", value=10.0, expires_at=NOW + HOUR),
    ]
    found = arbitrate(standing(), asked, policy(budgets=(DAILY,)), NOW)
    assert [(each.verdict, each.reason) for each in found] == [
        ("hold", "outbid"),
        ("send", "allowed"),
        ("suppress", "outbid"),
        ("suppress", "outbid"),
    ]
    assert [each.retry_at for each in found] == [NOW + DAY, None, None, NOW + DAY]


def test_without_a_budget_the_next_goes_after_a_while() -> None:
    asked = [candidate(trigger_id="b"), candidate(trigger_id="a", scenario="price")]
    second, first = arbitrate(standing(), asked, policy(), NOW)
    assert (first.verdict, second.verdict) == ("send", "hold")
    assert second.retry_at == NOW + GAP_MS


def test_two_of_one_trigger_do_not_wait_for_each_other() -> None:
    first, second = arbitrate(standing(), [candidate(), candidate()], policy(), NOW)
    assert {first.verdict, second.verdict} == {"send", "suppress"}


def test_the_night_holds() -> None:
    evening = NOW - NOW % DAY + 22 * HOUR + 5 * MINUTE
    decision = decide(now=evening, rules=policy(quiet=NIGHT))
    assert (decision.verdict, decision.reason) == ("hold", "quiet_hours")
    assert decision.retry_at == NOW - NOW % DAY + 32 * HOUR
    day_only = QuietHours(begin=NIGHT.begin, end=NIGHT.end, channels=frozenset({"sms"}))
    assert decide(now=evening, rules=policy(quiet=day_only)).verdict == "send"


def test_a_budget_that_ends_at_night_waits_for_the_morning() -> None:
    noon = NOW - NOW % DAY + 12 * HOUR
    found = standing(sent=[message(at=noon - 14 * HOUR)])
    decision = decide(found, noon, policy(budgets=(DAILY,), quiet=NIGHT))
    assert (decision.reason, decision.retry_at) == ("budget", noon + 20 * HOUR)


def test_a_standing_is_made_of_the_profile() -> None:
    component = Component(consents={"marketing|*": Consent(denied=5)})
    contact = Contact(sent=[message(), message(), message(), message()])
    found = standing_of("alice", component, contact, "Europe/Berlin")
    assert (found.zone.key, found.stretch, found.profiled) == ("Europe/Berlin", 2.0, True)
    assert found.consents is component.consents
    assert found.sent is contact.sent
    component.traits["timezone"] = Trait(1, 1, "Asia/Tokyo")
    component.paused = Mark(1, 1, 1)
    found = standing_of("alice", component, contact, "Europe/Berlin")
    assert (found.zone.key, found.profiled) == ("Asia/Tokyo", False)
    component.paused = Mark(2, 1, 0)
    component.consents["profiling|*"] = Consent(denied=5)
    assert not standing_of("alice", component, contact, "Europe/Berlin").profiled
