"""Standings, candidates and policies for tests of the arbiter, fixed and drawn."""

from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from services.profile.arbiter.decide import Candidate, Decision
from services.profile.arbiter.fatigue import stretch
from services.profile.arbiter.policy import Basis, Budget, Holdout, Policy, QuietHours
from services.profile.arbiter.standing import Standing
from services.profile.contact import (
    BOUNCED,
    CLICKED,
    OPENED,
    UNSUBSCRIBED,
    Contact,
    Responses,
    Sent,
)
from services.profile.registers import Consent

NOW = 1_760_000_000_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
CHANNELS = ("email", "push", "sms")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu")
BASES = {
    "marketing": Basis(name="consent"),
    "news": Basis(name="consent", opt_in=True),
    "service": Basis(name="contract", consent=False),
}


def policy(**fields) -> Policy:
    return Policy(**({"bases": BASES, "transactional": frozenset({"service"})} | fields))


def candidate(**fields) -> Candidate:
    defaults = {
        "trigger_id": "trigger",
        "scenario": "cart",
        "purpose": "marketing",
        "channels": ("email",),
        "expires_at": NOW + 30 * DAY,
    }
    return Candidate(**(defaults | fields))


def standing(customer="alice", zone="UTC", consents=None, profiled=True, **contact) -> Standing:
    kept = Contact(**contact)
    return Standing(
        customer=customer,
        zone=ZoneInfo(zone),
        consents=consents or {},
        contact=kept,
        sent=kept.sent,
        stretch=stretch(kept.sent),
        profiled=profiled,
    )


def message(at=NOW - HOUR, channel="email", **fields) -> Sent:
    return Sent(**({"at": at, "message": f"message-{at}", "channel": channel} | fields))


def apply(contact: Contact, decisions: list[Decision], at: int, transactional) -> None:
    """What folding the decisions will do to the contact."""
    for decision in decisions:
        chosen = decision.candidate
        for experiment, arm in decision.unrecorded:
            contact.arms.setdefault(experiment, arm)
        if decision.verdict == "send":
            sent = Sent(
                at=at,
                message=chosen.trigger_id,
                channel=decision.channel,
                scenario=chosen.scenario,
                tags=tuple(sorted(chosen.tags)),
                transactional=chosen.purpose in transactional,
            )
            contact.sent = [sent, *contact.sent][:64]
            contact.spoke[chosen.scenario] = at


tag_sets = st.frozensets(st.sampled_from(["discount", "reminder"]))
outcomes = st.sampled_from([0, 0, 0, OPENED, OPENED | CLICKED, BOUNCED, OPENED | UNSUBSCRIBED])
budgets = st.builds(
    Budget,
    messages=st.integers(0, 4),
    window_ms=st.sampled_from([HOUR, DAY, 7 * DAY, 14 * DAY]),
    channel=st.none() | st.sampled_from(CHANNELS),
    tag=st.none() | st.sampled_from(["discount", "reminder"]),
)
quiet_hours = st.builds(
    QuietHours,
    begin=st.integers(0, 1439),
    end=st.integers(0, 1439),
    channels=st.sampled_from([frozenset(), frozenset({"email"}), frozenset(CHANNELS)]),
)
policies = st.builds(
    policy,
    budgets=st.lists(budgets, max_size=4).map(tuple),
    quiet=st.none() | quiet_hours,
    holdout=st.builds(Holdout, share=st.sampled_from([0.0, 0.3]), salt=st.just("s")),
    annoyance=st.sampled_from([0, 20]),
    lost_customer=st.sampled_from([0, 2000]),
)
candidates = st.builds(
    candidate,
    trigger_id=st.text("abcdef", min_size=1, max_size=6),
    scenario=st.sampled_from(["cart", "birthday", "price"]),
    purpose=st.sampled_from(["marketing", "marketing", "news", "service"]),
    channels=st.lists(st.sampled_from(CHANNELS), min_size=1, unique=True).map(tuple),
    expires_at=st.integers(NOW - HOUR, NOW + 20 * DAY),
    value=st.none() | st.floats(0, 500),
    tags=tag_sets,
    cooldown_ms=st.sampled_from([0, HOUR, 7 * DAY]),
    on_conflict=st.sampled_from(["hold", "drop"]),
)
consents = st.dictionaries(
    st.sampled_from([f"{p}|{c}" for p in ("marketing", "news", "*") for c in ("*", *CHANNELS)]),
    st.builds(Consent, st.integers(0, 3), st.integers(0, 3), st.integers(0, 3)),
)
sent_lists = st.lists(
    st.builds(
        message,
        at=st.integers(NOW - 20 * DAY, NOW),
        channel=st.sampled_from(CHANNELS),
        tags=tag_sets.map(lambda tags: tuple(sorted(tags))),
        transactional=st.booleans(),
        outcome=outcomes,
    ),
    max_size=12,
).map(lambda messages: sorted(messages, key=lambda each: -each.at))
responses = st.dictionaries(
    st.sampled_from(CHANNELS),
    st.builds(Responses, *[st.integers(0, 9)] * 5),
)
standings = st.builds(
    standing,
    customer=st.sampled_from(["alice", "bob", "carol", "dave"]),
    zone=st.sampled_from(ZONES),
    consents=consents,
    profiled=st.booleans(),
    sent=sent_lists,
    responses=responses,
    spoke=st.dictionaries(
        st.sampled_from(["cart", "birthday"]), st.integers(NOW - 9 * DAY, NOW), max_size=2
    ),
)
