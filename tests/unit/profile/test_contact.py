"""The contact: what was sent, how it was taken, and that the order of reports does not matter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.profile.contact import (
    BOUNCED,
    CLICKED,
    HOLDS_KEPT,
    OPENED,
    SENT_KEPT,
    SENT_MS,
    STATED_KEPT,
    UNSUBSCRIBED,
    Contact,
    Hold,
    Responses,
    Sent,
)
from services.profile.identity import Delivery, Identity, OutboxEntry, apply, stable_id, trigger_id
from services.profile.moments.waiting import Waiting
from services.profile.state import canonical
from services.profile.window import CAPACITY, Verdict, digest
from shared import events as facts
from tests.unit.profile.builders import DAY, HOUR, NOW, base, viewed

REPORTS = (
    facts.MessageSent,
    facts.MessageOpened,
    facts.MessageClicked,
    facts.MessageBounced,
    facts.MessageUnsubscribed,
)


def decided(
    number: int = 1, verdict: str = "send", at: int = NOW, trigger: str = "t1", **more: object
) -> facts.MessageDecided:
    fields = {"scenario": "win_back", "channel": "email", "reason": "allowed", **more}
    return facts.MessageDecided(**base(number, at), trigger_id=trigger, verdict=verdict, **fields)


def contact_of(*sequence: facts.AnyFact) -> Contact:
    identity = Identity("c:alice")
    for offset, fact in enumerate(sequence):
        apply(identity, Delivery(fact, 0, offset))
    return identity.profile.contact


def report(
    kind: type[facts.MessageFact], number: int, message: str = "t1", at: int = NOW + HOUR
) -> facts.MessageFact:
    return kind(**base(number, at), message=message, channel="email")


def test_a_send_counts_once_though_the_tool_reports_it_too() -> None:
    contact = contact_of(
        decided(tags=["b", "a", "b"], transactional=True), report(facts.MessageSent, 2)
    )
    assert contact.sent == [Sent(NOW, "t1", "email", "win_back", ("a", "b"), True)]
    assert contact.spoke == {"win_back": NOW}
    assert contact.responses == {"email": Responses(sent=1)}


def test_a_message_of_the_tools_own_counts_from_the_first_that_is_heard_of_it() -> None:
    opened = facts.MessageOpened(**base(1, NOW + HOUR), message="newsletter-7")
    first = contact_of(opened)
    assert first.sent == [Sent(NOW + HOUR, "newsletter-7", "", outcome=OPENED)]
    assert first.responses == {}
    sent = report(facts.MessageSent, 2, "newsletter-7", NOW)
    for contact in (contact_of(opened, sent), contact_of(sent, opened)):
        assert contact.sent == [Sent(NOW, "newsletter-7", "email", outcome=OPENED)]
        assert contact.responses == {"email": Responses(sent=1, opened=1)}
        assert contact.spoke == {}


def test_each_response_counts_once_a_message_and_a_click_is_also_an_opening() -> None:
    reports = [report(facts.MessageOpened, n) for n in range(2, 5)]
    reports += [report(facts.MessageClicked, n) for n in range(5, 8)]
    contact = contact_of(decided(), *reports, report(facts.MessageBounced, 8))
    assert contact.responses == {"email": Responses(sent=1, opened=1, clicked=1, bounced=1)}
    (sent,) = contact.sent
    assert (sent.outcome, sent.answered) == (OPENED | CLICKED | BOUNCED, True)
    assert contact_of(report(facts.MessageClicked, 1)).responses["email"].opened == 1


@given(
    st.lists(
        st.tuples(st.sampled_from(REPORTS), st.sampled_from(["t1", "own", "other"])), max_size=10
    ),
    st.integers(0, 10),
    st.randoms(use_true_random=False),
)
def test_the_order_of_reports_does_not_matter(reports, place, chance) -> None:
    made = [
        report(kind, number, message, NOW + number * HOUR)
        for number, (kind, message) in enumerate(reports, start=2)
    ]
    other = list(made)
    chance.shuffle(other)
    one = contact_of(*made[:place], decided(at=NOW + HOUR), *made[place:])
    two = contact_of(*other[:place], decided(at=NOW + HOUR), *other[place:])
    one.stated = two.stated = []
    assert canonical(one) == canonical(two)
    assert sum(counts.sent for counts in one.responses.values()) == len(one.sent)


def test_an_unsubscribe_is_remembered_of_the_message_and_denies_its_channel() -> None:
    identity = Identity("c:alice")
    apply(identity, Delivery(decided(), 0, 0))
    apply(identity, Delivery(report(facts.MessageUnsubscribed, 2), 0, 1))
    assert identity.profile.contact.sent[0].outcome == UNSUBSCRIBED
    assert identity.profile.component.consents["marketing|email"].denies
    apply(identity, Delivery(facts.MessageUnsubscribed(**base(3), message="t1"), 0, 2))
    assert identity.profile.component.consents["marketing|*"].denies
    assert identity.profile.component.consents["*|email"].denies


@pytest.mark.parametrize("verdict", ["send", "suppress"])
def test_a_hold_stands_until_its_trigger_is_decided_otherwise(verdict: str) -> None:
    held = decided(
        1, "hold", retry_at=NOW + HOUR, expires_at=NOW + DAY, due=NOW - 5, moment_at=NOW - 9,
        cause="event-0", item="lamp", subject="s",
    )  # fmt: skip
    hold = Hold(
        "win_back", NOW + HOUR, NOW + DAY, 1, "event-0", NOW - 5, NOW - 9, "s", "lamp", "email"
    )
    contact = contact_of(held)
    assert (contact.holds, contact.sent, contact.spoke) == ({"t1": hold}, [], {})
    again = decided(2, "hold", NOW + HOUR, retry_at=NOW + 2 * HOUR, expires_at=NOW + DAY, attempt=2)
    later = contact_of(held, again).holds["t1"]
    assert (later.attempt, later.retry_at) == (2, NOW + 2 * HOUR)
    assert contact_of(held, again, decided(3, verdict, NOW + 2 * HOUR)).holds == {}


def test_a_cool_down_that_was_stated_covers_the_scenario_until_it_ends() -> None:
    cooling = decided(1, "suppress", reason="cooldown", retry_at=NOW + DAY)
    assert contact_of(cooling).covered == {"win_back": NOW + DAY}
    other = decided(
        2, "suppress", NOW + DAY, "t2", reason="cooldown", retry_at=NOW + 2 * DAY, scenario="other"
    )
    assert contact_of(cooling, other).covered == {"other": NOW + 2 * DAY}
    assert contact_of(decided(1, "suppress", reason="budget", retry_at=NOW + DAY)).covered == {}


def test_everything_is_bounded() -> None:
    sends = [decided(n, at=NOW + n, trigger=f"t{n}") for n in range(SENT_KEPT + 9)]
    holds = [
        decided(n, "hold", NOW, f"h{n}", retry_at=NOW + 1, expires_at=NOW + n)
        for n in range(100, 100 + HOLDS_KEPT + 9)
    ]
    contact = contact_of(*sends, *holds)
    assert len(contact.sent) == SENT_KEPT
    assert contact.sent[0].message == f"t{SENT_KEPT + 8}"
    assert len(contact.stated) == STATED_KEPT
    assert sorted(contact.holds) == [f"h{n}" for n in range(109, 109 + HOLDS_KEPT)]
    late = contact_of(decided(1, at=NOW), decided(2, at=NOW + SENT_MS, trigger="t2"))
    assert [sent.message for sent in late.sent] == ["t2"]
    channels = [
        facts.MessageSent(**base(n), message=f"m{n}", channel=f"channel-{n}") for n in range(30)
    ]
    assert len(contact_of(*channels).responses) == 16


def test_the_first_arm_stands_for_good() -> None:
    one = facts.ArmAssigned(**base(1), experiment="holdout", arm="treated")
    other = facts.ArmAssigned(**base(2), experiment="holdout", arm="held_out")
    mixed = facts.ArmAssigned(**base(3), experiment="contaminated", arm="true")
    contact = contact_of(one, other)
    assert (contact.arms, contact.contaminated) == ({"holdout": "treated"}, False)
    contact = contact_of(one, mixed)
    assert (contact.arms, contact.contaminated) == ({"holdout": "treated"}, True)


def test_segments_and_the_stage_are_as_the_log_says_last() -> None:
    entered = facts.SegmentEntered(**base(1, NOW), segment="vip")
    again = facts.SegmentEntered(**base(2, NOW + 1), segment="vip")
    left = facts.SegmentLeft(**base(3, NOW + 2), segment="vip")
    loyal = facts.StageChanged(**base(4, NOW + 3), stage="loyal")
    same = facts.StageChanged(**base(5, NOW + 4), stage="loyal")
    contact = contact_of(entered, again, loyal, same)
    assert (contact.segments, contact.stage, contact.stage_since) == (
        {"vip": NOW},
        "loyal",
        NOW + 3,
    )
    assert contact_of(entered, again, left).segments == {}


@pytest.mark.parametrize(
    "fact",
    [
        facts.ArmAssigned(**base(8), experiment="e", arm="a"),
        facts.SegmentEntered(**base(8), segment="s"),
        facts.SegmentLeft(**base(8), segment="s"),
        facts.StageChanged(**base(8), stage="s"),
        decided(8),
    ],
)
def test_what_the_log_has_leaves_the_outbox_whatever_the_verdict(fact: facts.AnyFact) -> None:
    standing = OutboxEntry("event-9", "c:alice", b"{}", "cause")
    for offset in (0, 1):
        identity = Identity("c:alice")
        if isinstance(fact, facts.SegmentLeft):
            identity.profile.contact.segments["s"] = NOW
        for number in range(offset):
            apply(identity, Delivery(fact, 0, number))
        identity.outbox = [OutboxEntry("event-8", "c:alice", b"{}", "cause"), standing]
        verdict = apply(identity, Delivery(fact, 0, offset))
        assert verdict is (Verdict.DUPLICATE if offset else Verdict.NEW)
        assert identity.outbox == [standing]


def test_a_decision_takes_the_moment_that_it_decides() -> None:
    identity = Identity("c:alice")
    moment = Waiting(NOW, "win_back", "event-0", NOW)
    other = Waiting(NOW, "win_back", "event-1", NOW, "subject")
    trigger = stable_id("win_back", "c:alice", "event-0")
    assert trigger_id(identity, moment) == trigger
    for offset in (0, 1):
        identity.waiting = [moment, other]
        apply(identity, Delivery(decided(1, trigger=trigger), 0, offset))
        assert identity.waiting == [other]
    before = canonical(identity.profile)
    identity.waiting = []
    assert canonical(identity.profile) == before


@pytest.mark.parametrize("between", [0, CAPACITY + 1])
def test_a_verdict_folds_once_also_when_the_window_has_forgotten_it(between: int) -> None:
    identity = Identity("c:alice")
    held = decided(1, "suppress", reason="cooldown", retry_at=NOW + HOUR)
    apply(identity, Delivery(held, 0, 0))
    assert identity.profile.contact.knows(digest("event-1"))
    for number in range(between):
        apply(identity, Delivery(viewed(100 + number), 0, 1 + number))
    before = canonical(identity.profile)
    late = decided(1, "send")
    assert apply(identity, Delivery(late, 0, 9_999)) is Verdict.DUPLICATE
    assert canonical(identity.profile) == before


def test_a_trigger_that_was_sent_is_not_decided_again_under_any_id() -> None:
    contact = contact_of(decided(1), decided(2, "hold", retry_at=NOW + 1, expires_at=NOW + 2))
    assert (contact.holds, len(contact.sent)) == ({}, 1)
    assert contact_of(report(facts.MessageSent, 1), decided(2)).spoke == {"win_back": NOW}


def test_visitors_are_not_written_to() -> None:
    visitor = Identity("a:v")
    sent = facts.MessageSent(**base(1, anonymous="v"), message="m", channel="email")
    apply(visitor, Delivery(sent, 0, 0))
    apply(visitor, Delivery(facts.ArmAssigned(**base(2), experiment="e", arm="a"), 0, 1))
    assert visitor.profile.contact == Contact()
