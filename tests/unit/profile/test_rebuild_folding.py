"""A partition folded for a rebuild: what a live worker would have written, and nothing said."""

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec.structs import replace

from services.profile.applying import Applier
from services.profile.batch import decode_batch, fold_identity, item_increments
from services.profile.cache import IdentityCache
from services.profile.identity import Identity
from services.profile.items.interest import Gathered, gather
from services.profile.moments.waiting import SEGMENTS
from services.profile.rebuild import folding
from services.profile.rebuild.catching_up import CatchingUp
from services.profile.rebuild.filling import Filled, Part, Shadow
from services.profile.rebuild.folding import PartitionFold
from services.profile.scenarios.book import OnItem, OnTimer, Segment
from services.profile.state import canonical
from shared import events as facts
from shared.bus_offsets import Bounds, Commit
from shared.events import encode, identity_key
from shared.settings import Settings
from tests.fixtures.fake_profile_store import FakeProfileStore
from tests.fixtures.fake_readers import FakeRecord
from tests.unit.profile.builders import DAY, NOW, base, bought, carted, viewed
from tests.unit.profile.moments.books import DELAY_MS, RULES, When, scenario

HOUR_MS = 3_600_000
EVERYBODY = Segment(name="everybody", when=When(lambda context: True))


def records(*sequence: facts.Fact) -> list[Any]:
    """The log: a login lies in it twice, for the visitor and for the customer."""
    keyed = []
    for fact in sequence:
        if isinstance(fact, facts.Identified):
            keyed.append((facts.anonymous_key(fact.anonymous or ""), fact))
        keyed.append((identity_key(fact), fact))
    return [
        FakeRecord("events", 0, offset, key.encode(), encode(fact))
        for offset, (key, fact) in enumerate(keyed)
    ]


def story() -> list[facts.Fact]:
    imported = facts.CartAdded(**base(30, NOW, customer="ivy"), item="mug", source="import:shop")
    return [
        carted(1, NOW, "lamp"),
        viewed(2, NOW + 1),
        viewed(2, NOW + 1),
        bought(3, NOW + 2, "lamp"),
        carted(4, NOW + 3, "mug"),
        viewed(5, NOW + HOUR_MS, "rug", customer="bob"),
        carted(6, NOW + 4, "lamp", customer="bob"),
        imported,
        viewed(7, NOW, customer="ivy"),
        viewed(8, NOW, anonymous="v"),
        facts.Identified(**base(9, NOW + 10, customer="alice", anonymous="v")),
        viewed(10, NOW + 20, "sofa", anonymous="v"),
    ]


def folded(log: list[Any], published: int = 0, hours: int = 336, step: int = 3) -> PartitionFold:
    fold = PartitionFold(published, hours, RULES, NOW)
    for start in range(0, len(log), step):
        fold.feed(log[start : start + step])
    return fold


def test_identities_are_what_a_live_worker_would_have_written() -> None:
    log = records(*story())
    found = folded(log)
    live: dict[str, Identity] = {}
    due: dict[str, int] = {}
    for record in log:
        for key, deliveries in decode_batch([record]).deliveries.items():
            effect = fold_identity(live.setdefault(key, Identity(key)), deliveries, RULES)
            if effect.due is not None:
                due[key] = effect.due
    assert found.identities.keys() == live.keys()
    for key, identity in live.items():
        other = found.identities[key]
        assert canonical(other.profile) == canonical(identity.profile)
        assert other.window.pack() == identity.window.pack()
        assert (other.positions, other.outbox) == (identity.positions, identity.outbox)
        assert other.waiting == identity.waiting
    assert found.timers() == due == {"c:alice": NOW + 3 + DELAY_MS, "c:bob": NOW + 4 + DELAY_MS}
    assert (found.facts, found.malformed) == (len(log), 0)


def test_interest_is_indexed_as_live_as_far_as_it_counts_still() -> None:
    old = viewed(40, NOW - 31 * DAY, "vase", customer="bob")
    log = records(*story(), old)
    kinds = frozenset({"viewed", "carted"})
    on_items = (scenario("price_drop", OnItem(interest=kinds)),)
    rules = RULES._replace(book=replace(RULES.book, on_items=on_items))
    fold = PartitionFold(0, 336, rules, NOW)
    fold.feed(log)
    live: Gathered = {}
    identities: dict[str, Identity] = {}
    for key, some in decode_batch(log).deliveries.items():
        effect = fold_identity(identities.setdefault(key, Identity(key)), some, rules)
        found = gather({key: some}, lambda _, effect=effect: effect.verdicts, kinds)
        for item, marks in found.get(0, {}).items():
            live.setdefault(0, {}).setdefault(item, {}).update(marks)
    assert live[0].pop("vase")
    assert list(fold.interest()) == [{0: live[0]}]
    assert {item: sorted(marks) for item, marks in live[0].items()} == {
        "lamp": ["alice", "bob", "ivy"],
        "mug": ["alice", "ivy"],
        "rug": ["bob"],
    }


def test_who_was_only_imported_is_not_asked_for_segments() -> None:
    rules = RULES._replace(book=replace(RULES.book, segments=(EVERYBODY,)))
    fold = PartitionFold(0, 336, rules, NOW)
    imported = {"source": "import:shop"}
    fold.feed(
        records(
            facts.CartAdded(**base(1, NOW, customer="ivy") | imported, item="mug"),
            facts.CartAdded(**base(2, NOW, customer="bob") | imported, item="mug"),
            viewed(3, NOW, customer="bob"),
        )
    )
    fold.note_timers()
    assert {
        key: [each.scenario for each in one.waiting] for key, one in fold.identities.items()
    } == {
        "c:ivy": [],
        "c:bob": [SEGMENTS],
    }


def test_what_came_due_before_an_import_is_not_said_after_a_rebuild() -> None:
    """Of who was really there it is: the service may have been away at its time."""
    silent = scenario("silent", OnTimer(timer="inactive", after_ms=DAY, at_minute=-1), after_ms=0)
    rules = RULES._replace(book=replace(RULES.book, on_timers=(silent,)))
    times = {"occurred_at": NOW - DAY - HOUR_MS, "received_at": NOW - HOUR_MS // 2}
    told = base(1, customer="ivy") | times | {"source": "import:shop"}
    fold = PartitionFold(0, 336, rules, NOW)
    fold.feed(
        records(
            facts.ItemViewed(**told, item="mug"),
            viewed(3, NOW - DAY - HOUR_MS, customer="bob"),
        )
    )
    fold.note_timers()
    waiting = {key: [each.due for each in one.waiting] for key, one in fold.identities.items()}
    assert waiting == {"c:ivy": [], "c:bob": [NOW - HOUR_MS]}


def test_items_are_counted_as_live() -> None:
    log = records(*story())
    decoded = decode_batch(log)
    effects = {key: fold_identity(Identity(key), some) for key, some in decoded.deliveries.items()}
    live = item_increments(decoded.deliveries, effects, {})[0]
    buckets = folded(log).buckets()
    assert {
        (hour, item): row for hour, rows in buckets.items() for item, row in rows.items()
    } == live


def test_only_the_last_hours_are_kept_whatever_the_order() -> None:
    late = viewed(2, NOW - 5 * HOUR_MS)
    log = records(viewed(1, NOW - 3 * HOUR_MS), viewed(3, NOW), late)
    assert set(folded(log, hours=2, step=1).buckets()) == {NOW // HOUR_MS}
    assert set(folded(log, hours=4, step=1).buckets()) == {NOW // HOUR_MS, NOW // HOUR_MS - 3}


def test_what_was_published_leaves_the_outbox_and_the_rest_waits() -> None:
    log = records(*story())
    everything = folded(log, published=len(log))
    assert everything.first_unpublished is None
    assert not everything.identities["a:v"].outbox
    some = folded(log, published=12)
    assert some.first_unpublished == 12
    (entry,) = some.identities["a:v"].outbox
    assert facts.decode(entry.value).through == "0/12"  # type: ignore[union-attr]


def test_records_that_are_no_facts_are_counted_and_passed_over() -> None:
    log = [FakeRecord("events", 0, 0, b"c:alice", b"{"), *records(viewed(1))]
    assert folded(log).malformed == 1


def test_live_workers_begin_before_what_they_must_still_publish() -> None:
    none = cast(Any, None)
    catching_up = CatchingUp(none, none, none, none)
    parts = [Part(n, 0, 100, 10) for n in range(4)]
    unpublished = {0: None, 1: 40, 2: 40, 3: 40}
    catching_up.begin(parts, [Filled(n, 0, 0, 0, first, ()) for n, first in unpublished.items()])
    commits = {0: Commit(10, "g1"), 1: Commit(30, "g1"), 2: Commit(60, "g1"), 3: Commit(200, "g1")}
    assert catching_up.starts(catching_up.ends, commits) == {0: 100, 1: 40, 2: 60, 3: 100}
    assert catching_up.starts({1: 35}, {}) == {1: 35}


async def test_a_round_over_markers_moves_the_item_position_as_far_as_live_workers_begin(
    tmp_path: Path,
) -> None:
    async def read(*_: object) -> AsyncIterator[list[Any]]:
        yield records(viewed(1))

    store, log, none = FakeProfileStore(), SimpleNamespace(read=read), cast(Any, None)
    applier = Applier(cast(Any, store), none, IdentityCache(10))
    shadow = Shadow(Settings(), "g2", "topic-1", (), tmp_path)
    catching_up = CatchingUp(shadow, cast(Any, store), applier, cast(Any, log))
    catching_up.begin([Part(0, 0, 0, 0)], [])
    # After the fact lie the two markers of a transaction.
    assert await catching_up.round({0: Bounds(0, 3)}) == 1
    assert catching_up.starts(catching_up.ends, {}) == {0: 3}
    assert store.positions == {0: 2}


async def test_what_the_log_refused_for_its_size_stays_in_its_outbox_and_so_does_what_is_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "REFUSED_BYTES", 1_000)
    random = Random(5)
    log = records(
        *(viewed(n, NOW, random.randbytes(50).hex(), anonymous="v") for n in range(20)),
        viewed(20, NOW, anonymous="w"),
        facts.Identified(**base(21, NOW + 1, customer="alice", anonymous="v")),
        facts.Identified(**base(22, NOW + 1, customer="alice", anonymous="w")),
        viewed(23, NOW + 2, anonymous="v"),
    )
    found = folded(log, published=len(log))
    standing = [entry.fact_id for entry in found.identities["a:v"].outbox]
    assert len(standing) == 2
    assert not found.identities["a:w"].outbox

    store, none = FakeProfileStore(), cast(Any, None)
    store.fill(0, len(log), found)
    shadow = Shadow(Settings(), "g2", "topic-1", (), tmp_path)
    applier = Applier(cast(Any, store), none, IdentityCache(10))
    catching_up = CatchingUp(shadow, cast(Any, store), applier, none)
    end = len(log)
    catching_up.begin([Part(0, 0, end, end)], [Filled(0, end, 0, 3, None, ("a:v",))])
    await catching_up.settle_outboxes({0: end})
    assert [entry.fact_id for entry in (await store.load(["a:v"]))["a:v"].outbox] == standing
