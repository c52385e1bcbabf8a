"""The second witness: an exact run satisfies it, and each kind of damage is seen."""

import base64
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from tests.faults.findings import Evidence, Findings
from tests.faults.mutations import GUARDS
from tests.faults.plan import Plan, Planned
from tests.faults.scenarios import SCENARIOS
from tests.faults.shoppers import Expectation, Step
from tests.faults.truth import Raw, Truth, work_out
from tests.faults.witness import judge

BASE = 1_750_000_000_000
NOW = BASE + 60_000
SENT = frozenset({5_000})


def view(**who: str) -> Step:
    return Step("item_viewed", 0, fields={"item": "i1"}, **who)


def signed_in(customer: str, anonymous: str = "device") -> Step:
    return Step("identified", 0, customer, anonymous, {"traits": {}})


def plan_of(*steps: Step | None) -> Plan:
    """One record a step; None: poison."""
    records = [
        Planned(number, number, "clickstream", "k", step=step) for number, step in enumerate(steps)
    ]
    return Plan(
        records, {"ada": Expectation(frozenset({5_000}), verdict=("send", "allowed"), sent=SENT)}
    )


def raw_of(numbers: Iterable[int]) -> list[Raw]:
    return [Raw("clickstream", 0, offset, number) for offset, number in enumerate(numbers)]


def events_by_owner(*steps: Step) -> dict[str, int]:
    truth = work_out(plan_of(*steps), raw_of(range(len(steps))), {})
    return {identity: account.events for identity, account in truth.accounts.items()}


def test_what_a_visitor_does_counts_for_who_logs_in() -> None:
    visitor = view(anonymous="device")
    assert events_by_owner(visitor, signed_in("ada"), visitor) == {"c:ada": 3, "a:device": 0}


def test_on_a_shared_device_it_counts_for_who_logged_in_last() -> None:
    visitor = view(anonymous="device")
    steps = (visitor, signed_in("ada"), visitor, visitor, signed_in("bob"), visitor)
    assert events_by_owner(*steps) == {"c:ada": 4, "c:bob": 2, "a:device": 0}


def test_a_visitor_who_never_logs_in_keeps_it() -> None:
    assert events_by_owner(view(anonymous="device")) == {"a:device": 1}


def test_what_is_sent_again_counts_once() -> None:
    truth = work_out(plan_of(view(customer="ada")), raw_of([0, 0, 0]), {})
    assert truth.accounts["c:ada"].events == 1
    assert len(truth.good) == 3
    assert truth.items == {"i1": [1, 0, 0, 0, 0]}


def test_orders_of_a_visitor_count_whenever_they_arrive() -> None:
    order = {"lines": [{"item": "i1"}], "total": 7, "currency": "EUR"}
    bought = Planned(0, 0, "purchases", "k", step=Step("purchased", 0, None, "device", order))
    plan = replace(plan_of(view(customer="x"), signed_in("ada")), expectations={})
    plan = replace(plan, records=[bought, *plan.records[1:]])
    account = work_out(plan, raw_of([1, 0]), {}).accounts["c:ada"]
    assert (account.events, account.orders, account.revenue) == (2, 1, {"EUR": 7})


PLAN = plan_of(view(customer="ada"), view(anonymous="device"), None, signed_in("ada"))


OTHER = {"trigger_id": "t2", "event_id": "f2"}
AGAIN = {"event_id": "f2", "attempt": 2}
HELD = {"verdict": "hold", "reason": "budget", "retry_at": NOW}


def exact() -> Evidence:
    """What a run that did everything right leaves behind."""
    raw = raw_of([0, 1, 2, 3])
    truth: Truth = work_out(PLAN, raw, {2: "null_value"})
    evidence = Evidence(raw)
    evidence.facts = {source: set(keys) for source, keys in truth.good.items()}
    evidence.ids = {source: {f"e{truth.numbers[source]}"} for source in truth.good}
    evidence.dead = {source: {"bad_utf8"} for source in truth.dead}
    evidence.accounts = truth.accounts
    evidence.items = truth.items
    word = b'{"decision_id":"t1"}'
    evidence.decided = [
        {
            "event_id": "f1",
            "trigger_id": "t1",
            "customer": "ada",
            "due": BASE + 5_000,
            "occurred_at": BASE + 5_100,
            "channel": "email",
            "verdict": "send",
            "reason": "allowed",
            "trigger": base64.b64encode(word).decode(),
        }
    ]
    evidence.messages = {"triggers.email": [("t1", word), ("t1", word)], "suppressions": []}
    evidence.heard = {"t1": {word}}
    return evidence


def judged(damage: Callable[[Evidence], object] | None = None) -> Findings:
    evidence = exact()
    if damage is not None:
        damage(evidence)
    return judge(PLAN, evidence, BASE, NOW)


def test_an_exact_run_satisfies_it() -> None:
    found = judged()
    assert not found.wrong, found.examples
    assert (found.lost, found.applied_twice, found.decisions_found) == (0, 0, 1)
    assert (found.decisions_missing, found.messages_missing, found.id_conflicts) == (0, 0, 0)


@pytest.mark.parametrize(
    ("damage", "seen"),
    [
        (lambda e: e.facts.pop("clickstream/0/0"), {"lost": 1}),
        (lambda e: e.facts["clickstream/0/3"].pop(), {"lost": 1}),
        (lambda e: e.facts["clickstream/0/0"].add("c:bob"), {}),
        (lambda e: e.ids["clickstream/0/0"].add("e9"), {}),
        (lambda e: e.facts.update({"clickstream/0/9": {"c:ada"}}), {}),
        (lambda e: e.dead.clear(), {"lost": 1}),
        (lambda e: e.dead["clickstream/0/2"].add("nan"), {}),
        (lambda e: e.dead.update({"clickstream/0/0": {"nan"}}), {}),
        (lambda e: setattr(e.accounts["c:ada"], "events", 2), {"lost": 1}),
        (lambda e: setattr(e.accounts["c:ada"], "events", 5), {"applied_twice": 2}),
        (lambda e: e.accounts["c:ada"].totals.update({1: 1}), {}),
        (lambda e: e.items["i1"].__setitem__(0, 3), {}),
        (lambda e: e.items.update(i2=[1, 0, 0, 0, 0]), {}),
        (lambda e: e.accounts.update({"c:eve": e.accounts["c:ada"]}), {}),
        (lambda e: e.decided.clear(), {"decisions_missing": 1}),
        (lambda e: e.decided[0].update(reason="fatigue"), {}),
        (lambda e: e.decided[0].update(due=BASE + 6_000), {"decisions_missing": 1}),
        (lambda e: e.decided.append(e.decided[0] | OTHER), {"messages_missing": 1}),
        (lambda e: e.messages["triggers.email"].clear(), {"messages_missing": 2}),
        (lambda e: e.messages["triggers.email"].append(("t1", b"other")), {"id_conflicts": 1}),
        (lambda e: e.messages["suppressions"].append(("t9", b"")), {"id_conflicts": 1}),
        (lambda e: setattr(e, "heard", {}), {"messages_missing": 1}),
        (lambda e: e.heard["t1"].add(b"other"), {"messages_missing": 1}),
        (lambda e: e.decided[0].update(occurred_at=BASE + 4_999), {}),
        (lambda e: e.decided.append(e.decided[0] | AGAIN), {}),
        (lambda e: e.decided[0].update(attempt=2), {}),
        (lambda e: e.decided[0].update(HELD), {"decisions_missing": 1}),
        (lambda e: e.decided[0].update(verdict="suppress", reason="budget"), {}),
    ],
)
def test_damage_is_seen(damage: Callable[[Evidence], object], seen: dict[str, int]) -> None:
    found = judged(damage)
    assert found.wrong
    assert {name: getattr(found, name) for name in seen} == seen


def test_what_is_held_and_released_satisfies_it() -> None:
    evidence = exact()
    hold = evidence.decided[0] | HELD | {"event_id": "f0", "retry_at": BASE + 9_000}
    sent = evidence.decided[0] | {"attempt": 2, "occurred_at": BASE + 9_050}
    evidence.decided = [hold, sent]
    word = base64.b64decode(hold["trigger"])
    evidence.messages["suppressions"] = [("f0", word)]
    evidence.heard = {"t1": {word}, "f0": {word}}
    plan = replace(PLAN, expectations={"ada": Expectation(SENT, sent=SENT)})

    found = judge(plan, evidence, BASE, NOW)

    assert not found.wrong, found.examples
    assert (found.held, found.released) == (1, 1)


def test_each_guard_has_its_scenario() -> None:
    assert GUARDS.keys() == SCENARIOS.keys()
