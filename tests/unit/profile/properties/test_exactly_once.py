"""Whatever crashes, stalls, repeats or gets lost: each event counts once, for whom it belongs."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from services.profile.component import Component
from services.profile.identity import Delivery, Identity, apply
from services.profile.moments.due import next_due
from services.profile.state import canonical
from shared import events as facts
from tests.unit.profile.builders import HOUR, NOW, base, bought
from tests.unit.profile.properties.histories import attributed, expected, histories
from tests.unit.profile.properties.world import World

LATER = NOW + 2 * HOUR

worlds = st.builds(World, st.builds(Random, st.integers(0, 2**32)))


def without_sessions(component: Component) -> bytes:
    component.sessions = 0
    return canonical(component)


@settings(max_examples=200)
@given(histories(), worlds)
def test_each_event_counts_once_for_whom_the_log_says(history, world) -> None:
    check_each_event_counts_once(history, world)


@settings(max_examples=200)
@given(st.lists(st.integers(0, 5), min_size=6, max_size=24), worlds)
def test_a_device_that_hands_over_all_day_loses_nothing(steps, world) -> None:
    history: list[facts.AnyFact] = []
    for number, step in enumerate(steps):
        if number == 0 or step == 0:
            who = {"customer": ("alice", "bob")[number % 3 == 2], "anonymous": "v"}
            history.append(facts.Identified(**base(number, NOW + number, **who)))
        else:
            history.append(bought(number, NOW + number, f"item-{step}", anonymous="v"))
    check_each_event_counts_once(history, world)


def check_each_event_counts_once(history: list[facts.AnyFact], world: World) -> None:
    world.live_through(history, LATER)
    wanted = attributed(record for partition in world.log for record in partition)
    for key, sequence in wanted.items():
        identity = world.store.rows[key]
        assert without_sessions(identity.profile.component) == canonical(expected(sequence)), key
        assert identity.outbox == []
    events = sum(row.profile.component.events for row in world.store.rows.values())
    assert events == sum(map(len, wanted.values()))


@settings(max_examples=100)
@given(histories(), worlds)
def test_the_live_state_is_what_a_replay_of_the_log_gives(history, world) -> None:
    world.live_through(history, LATER)
    reference: dict[str, Identity] = {}
    for number, partition in enumerate(world.log):
        for offset, (key, fact) in enumerate(partition):
            apply(reference.setdefault(key, Identity(key)), Delivery(fact, number, offset))
    for key, identity in reference.items():
        assert canonical(world.store.rows[key].profile) == canonical(identity.profile), key


@settings(max_examples=150)
@given(histories(), worlds)
def test_each_decision_is_published_and_never_with_two_contents(history, world) -> None:
    world.live_through(history, LATER)
    stated: dict[str, facts.MessageDecided] = {}
    for partition in world.log:
        for _, fact in partition:
            if isinstance(fact, facts.MessageDecided):
                stated.setdefault(fact.event_id, fact)
    published: dict[str, set[bytes]] = {}
    for trigger_id, content in world.triggers:
        published.setdefault(trigger_id, set()).add(content)
    assert {key: {fact.trigger} for key, fact in by_trigger(stated).items()} == published
    for row in world.store.rows.values():
        due = next_due(row)
        assert due is None or due > LATER


def by_trigger(stated: dict[str, facts.MessageDecided]) -> dict[str, facts.MessageDecided]:
    return {fact.trigger_id: fact for fact in stated.values()}
