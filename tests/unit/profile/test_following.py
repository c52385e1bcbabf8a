"""Which generation a worker follows, from where it reads, and what it refuses."""

from typing import Any, cast

import pytest

from services.profile.following import Following, begin_generation, refuse_gap
from services.profile.store_values import PartitionsChanged, RecreatedTopic, StoreEmptied
from shared.bus_offsets import Bounds, Commit, TopicShape
from shared.errors import LogTruncated
from shared.generation import Generation, Pointer, parse_pointer, pointer_fields
from tests.fixtures.fake_bus import FakeLog
from tests.fixtures.fake_generations import FakeGenerations
from tests.fixtures.fake_profile_store import FakeProfileStore

SHAPE = TopicShape("topic-1", 2)
LIVE = Generation("g1", "topic-1", 2, {0: 7})


def generations(live: Generation | None = None) -> Any:
    return FakeGenerations(Pointer(live))


def following(found: Any, live: Generation, shape: TopicShape = SHAPE) -> Following:
    async def look() -> TopicShape:
        return shape

    return Following(found, cast(Any, FakeProfileStore()), live, look)


async def test_the_first_worker_makes_the_first_generation() -> None:
    found = generations()
    made = await begin_generation(found, SHAPE, [])
    assert (made.incarnation, made.partitions) == SHAPE
    assert await begin_generation(found, SHAPE, [Commit(5, made.token)]) == made


async def test_a_store_that_was_emptied_is_refused_with_the_way_out() -> None:
    with pytest.raises(StoreEmptied, match="attune rebuild"):
        await begin_generation(generations(), SHAPE, [Commit(5, "g0")])


@pytest.mark.parametrize(
    ("shape", "error"),
    [(TopicShape("topic-2", 2), RecreatedTopic), (TopicShape("topic-1", 3), PartitionsChanged)],
)
async def test_another_log_is_refused_at_the_start_and_later(
    shape: TopicShape, error: type[Exception]
) -> None:
    found = generations(LIVE)
    with pytest.raises(error):
        await begin_generation(found, shape, [])
    with pytest.raises(error):
        await following(found, LIVE, shape).check()


def test_a_commit_counts_for_the_generation_that_it_names() -> None:
    assert LIVE.start(0, Commit(20, "g1")) == 20
    assert LIVE.start(0, Commit(20, "g0")) == LIVE.start(0, None) == 7
    assert LIVE.start(1, Commit(20, "")) == 0


async def test_a_worker_goes_over_to_the_generation_that_went_live() -> None:
    found = generations(LIVE)
    worker = following(found, LIVE)
    assert not await worker.moved()
    found.swap("g2", {0: 3})
    assert await worker.moved()
    assert (worker.generation.token, worker.generation.start(0, Commit(9, "g1"))) == ("g2", 3)
    found.pointer = Pointer()
    with pytest.raises(StoreEmptied):
        await worker.moved()


def test_a_start_that_is_not_in_the_log_is_refused() -> None:
    for start in (3, 5, 9):
        refuse_gap(("events", 0), start, Bounds(3, 9))
    with pytest.raises(LogTruncated, match=r"2 facts are gone.*--from archive"):
        refuse_gap(("events", 0), 1, Bounds(3, 9))
    with pytest.raises(LogTruncated, match="lost its end"):
        refuse_gap(("events", 0), 10, Bounds(3, 9))


async def test_partitions_are_read_from_where_the_generation_needs_them() -> None:
    log = FakeLog(partitions=2)
    for _ in range(9):
        log.append("events", b"{}", partition=0)
    worker = following(generations(LIVE), LIVE)
    cast(Any, worker)._store.positions[0] = 6
    async with log.group(group="g", topics=["events"], complete=True) as consumer:
        both = {("events", 0), ("events", 1)}
        assert await worker.place(cast(Any, consumer), both | {("events", 5)}) == both
        polled = await consumer.poll(max_records=10, timeout_ms=1)
        assert [record.offset for record in polled["events", 0]] == [7, 8]
        log.drop(("events", 0), before=8)
        with pytest.raises(LogTruncated):
            await worker.place(cast(Any, consumer), both)


async def test_a_store_that_knows_less_than_was_committed_is_refused() -> None:
    log = FakeLog(partitions=2)
    for _ in range(9):
        log.append("events", b"{}", partition=0)
    worker = following(generations(LIVE), LIVE)
    cast(Any, worker)._store.positions[0] = 5
    async with log.group(group="g", topics=["events"], complete=True) as consumer:
        with pytest.raises(StoreEmptied, match=r"up to offset 6, and 7 was.*attune rebuild"):
            await worker.place(cast(Any, consumer), {("events", 0)})


async def test_a_partition_that_was_added_is_refused_when_it_comes() -> None:
    log = FakeLog(partitions=3)
    worker = following(generations(LIVE), LIVE, TopicShape("topic-1", 3))
    async with log.group(group="g", topics=["events"], complete=True) as consumer:
        with pytest.raises(PartitionsChanged):
            await worker.place(cast(Any, consumer), {("events", 2)})


def test_the_pointer_comes_back_as_it_was_written() -> None:
    fields = {name.encode(): str(value).encode() for name, value in pointer_fields(LIVE).items()}
    assert parse_pointer(fields) == Pointer(LIVE)
    built = parse_pointer(fields | {b"shadow": b"g2", b"retired": b"g0 gx"})
    assert (built.shadow, built.retired) == ("g2", ("g0", "gx"))
    assert parse_pointer({}) == Pointer()
