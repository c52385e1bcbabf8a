"""The plan of a run: the same seed gives the same, in the amounts that were asked for."""

from collections import Counter

import pytest

from services.ingest.normalise import keys_of, normalise
from shared.errors import EventRefused
from shared.topics import named
from tests.faults.plan import Plan, make_plan
from tests.faults.poison import REASONS, poison
from tests.faults.schedule import LONG, SHORT, Shape, make_schedule
from tests.faults.wire import event_id, render

BASE = 1_750_000_000_000
SIZE = 4_000
DUE_WITHIN = 60_000


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(5, SIZE, DUE_WITHIN)


def test_a_plan_is_a_function_of_its_seed(plan: Plan) -> None:
    assert make_plan(5, SIZE, DUE_WITHIN) == plan
    assert make_plan(6, SIZE, DUE_WITHIN) != plan


def test_amounts_are_as_promised(plan: Plan) -> None:
    assert len(plan.records) == SIZE
    assert [record.number for record in plan.records] == list(range(SIZE))
    assert sum(record.resent for record in plan.records) == SIZE // 10
    assert sum(record.step is None for record in plan.records) == SIZE // 100
    firsts = [record for record in plan.records if record.step and not record.resent]
    assert sum(record.step.late for record in firsts if record.step) == SIZE // 50
    assert Counter(record.form for record in firsts).keys() == {
        "native",
        "segment",
        "structured",
        "binary",
    }
    assert sum(record.step.kind == "identified" for record in firsts if record.step) > 100
    assert plan.must > 20


def test_nobody_exceeds_what_the_window_holds(plan: Plan) -> None:
    events = Counter(
        who
        for record in plan.records
        if record.step
        for who in (record.step.customer, record.step.anonymous)
        if who
    )
    assert max(events.values()) < 256


def test_what_is_sent_again_comes_after_the_first_with_the_same_bytes(plan: Plan) -> None:
    first: dict[int, int] = {}
    for record in plan.records:
        if record.step is None:
            continue
        if record.resent:
            original = plan.records[first[record.event]]
            assert render(record, BASE)[:3] == render(original, BASE)[:3]
        else:
            first[record.event] = record.number


def test_orders_of_shared_devices_are_never_anonymous(plan: Plan) -> None:
    for record in plan.records:
        if record.step and record.topic == "purchases" and record.step.anonymous:
            assert not record.step.anonymous.startswith("shared")


def test_ingest_reads_every_record_as_the_plan_means_it(plan: Plan) -> None:
    for record in plan.records:
        sent = render(record, BASE)
        received = BASE + DUE_WITHIN
        if record.step is None:
            with pytest.raises(EventRefused) as refused:
                normalise(sent.value, sent.headers, received_at=received)
            assert refused.value.reason == poison(record.event, BASE).reason
            continue
        fact = normalise(sent.value, sent.headers, received_at=received)
        assert fact.event_id == event_id(record)
        assert fact.occurred_at == BASE + record.step.at
        step = record.step
        assert (fact.customer, fact.anonymous) == (step.customer, step.anonymous)
        assert fact.__struct_config__.tag == step.kind
        if "total" in step.fields:
            assert getattr(fact, "total", None) == step.fields["total"]
        assert all(key[:2] in {"c:", "a:"} for key in keys_of(fact))
        assert named(sent.topic, "") in {"clickstream", "purchases"}


def test_there_are_twelve_kinds_of_poison() -> None:
    assert len(REASONS) == len(set(REASONS)) == 12


@pytest.mark.parametrize("shape", [SHORT, LONG])
@pytest.mark.parametrize("seed", range(5))
def test_a_schedule_breaks_as_much_as_was_asked_for(shape: Shape, seed: int) -> None:
    schedule = make_schedule(seed, shape)
    assert schedule == make_schedule(seed, shape)
    assert [fault.at for fault in schedule] == sorted(fault.at for fault in schedule)
    assert all(0 < fault.at < shape.events for fault in schedule)
    count = Counter(fault.action for fault in schedule)
    assert count["kill"] + count["crash"] == shape.kills
    assert count["join"] + count["leave"] == shape.rebalances
    assert count["broker"] == shape.bounces
    assert count["redis"] + count["redis_restored"] == shape.redis_kills
    assert count["redis_restored"] >= 1
    assert count["rebuild"] == shape.rebuilds
    assert count["storm"] == shape.storms
    joined: set[str] = set()
    for fault in schedule:
        if fault.action == "join":
            assert fault.target not in joined
            joined.add(fault.target)
        elif fault.action == "leave":
            joined.remove(fault.target)
