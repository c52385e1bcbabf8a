"""The book in force: a changed file is taken up, a bad one changes nothing but what is told."""

import asyncio
import os
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from services.profile.scenarios.holding import SHIPPED, BookHolder, load
from services.profile.scenarios.problems import BookRefused
from shared.health import Remark

GOOD = """version: {}
scenarios:
  - {{name: a, on: cart_added, purpose: marketing, channels: [email]}}
"""


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "scenarios.yaml"
    path.write_text(GOOD.format("one"))
    return path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def holder(file: Path, clock: Clock) -> BookHolder:
    return BookHolder(file, monotonic=clock, wall=clock)


def rewrite(file: Path, text: str) -> None:
    """Writes it anew with a time of its own, however coarse the clock of the file system is."""
    before = file.stat().st_mtime_ns
    file.write_text(text)
    os.utime(file, ns=(before + 10**9, before + 10**9))


def refused_metric() -> float | None:
    return REGISTRY.get_sample_value("attune_profile_scenarios_refused")


async def test_a_changed_file_is_taken_up(holder: BookHolder, file: Path, clock: Clock) -> None:
    first = holder.book
    rewrite(file, GOOD.format("two"))
    clock.now += 2
    assert await holder.look()
    assert (holder.book.version, holder.held.version, holder.held.since) == ("two", "two", 102.0)
    assert first.version == "one"
    labels = {"version": "two"}
    assert REGISTRY.get_sample_value("attune_profile_scenarios_info", labels) == 1


async def test_the_file_is_looked_at_once_a_second_at_most(
    holder: BookHolder, file: Path, clock: Clock
) -> None:
    rewrite(file, GOOD.format("two"))
    clock.now += 0.9
    assert not await holder.look()
    assert holder.book.version == "one"
    clock.now += 0.2
    assert await holder.look()
    rewrite(file, GOOD.format("three"))
    assert not await holder.look()


async def test_a_file_that_did_not_change_is_not_read_again(
    holder: BookHolder, file: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.profile.scenarios.holding.read", None)
    clock.now += 2
    assert not await holder.look()
    # Touched, with the same content: its bytes are enough.
    rewrite(file, GOOD.format("one"))
    clock.now += 2
    assert not await holder.look()


async def test_a_bad_file_keeps_the_last_good_book_and_is_told(
    holder: BookHolder, file: Path, clock: Clock
) -> None:
    book = holder.book
    assert await holder.check() is None
    rewrite(file, GOOD.format("two").replace("cart_added", "cart_aded") + "zone: Nowhere\n")
    clock.now += 2
    assert not await holder.look()
    assert holder.book is book
    assert [line.split(": ")[0] for line in holder.held.refused] == [
        "scenarios.yaml:3",
        "scenarios.yaml:4",
    ]
    assert (holder.held.version, holder.held.since) == ("one", 100.0)
    assert refused_metric() == 1
    remark = await holder.check()
    assert isinstance(remark, Remark)
    assert remark == "version one stays, the file has 2 problems"

    rewrite(file, GOOD.format("three"))
    clock.now += 2
    assert await holder.look()
    assert (holder.held.refused, refused_metric(), await holder.check()) == ((), 0, None)


async def test_what_is_put_back_is_in_force_already(
    holder: BookHolder, file: Path, clock: Clock
) -> None:
    book = holder.book
    for text in ("[", GOOD.format("one")):
        rewrite(file, text)
        clock.now += 2
        assert not await holder.look()
    assert holder.book is book
    assert (holder.held.refused, refused_metric()) == ((), 0)


async def test_a_file_that_goes_away_changes_nothing(
    holder: BookHolder, file: Path, clock: Clock
) -> None:
    aside = await asyncio.to_thread(file.rename, file.with_name("aside"))
    clock.now += 2
    assert not await holder.look()
    assert holder.book.version == "one"
    assert "cannot be read" in holder.held.refused[0]
    await asyncio.to_thread(aside.rename, file)
    rewrite(file, GOOD.format("two"))
    clock.now += 2
    assert await holder.look()


def test_a_first_start_with_a_bad_file_is_refused(file: Path) -> None:
    file.write_text("scenarios: [{}]")
    with pytest.raises(BookRefused) as caught:
        BookHolder(file)
    assert [problem.what for problem in caught.value.problems] == [
        "channels is missing",
        "name is missing",
        "on is missing",
        "purpose is missing",
    ]
    with pytest.raises(BookRefused, match="cannot be read"):
        load(file.with_name("absent.yaml"))


def test_failures_while_running_are_counted() -> None:
    name = "attune_profile_expressions_failed_total"
    condition = BookHolder(SHIPPED).book.by_name["cart_abandoned"].recheck
    assert condition is not None

    class Broken:
        def value(self, variable: str) -> float:
            raise KeyError(variable)

    before = REGISTRY.get_sample_value(name) or 0
    assert not condition.holds(Broken())
    assert REGISTRY.get_sample_value(name) == before + 1
