"""The model store: what is saved is what is loaded, whole or not at all."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from services.recommend.candidates.sessions import SessionIndex
from services.recommend.learning import Learned
from services.recommend.models.folder import ModelFolder
from services.recommend.models.snapshot import Metadata, restore, take
from services.recommend.numbers import ItemNumbers
from shared.errors import InvalidInput, NotFound


@pytest.fixture
def folder(tmp_path: Path) -> ModelFolder:
    return ModelFolder(tmp_path / "models")


def metadata(version: str) -> Metadata:
    return Metadata(
        name="sessions",
        version=version,
        trained_at="2026-01-01T00:00:00Z",
        positions={"0": 7},
        neighbours={"newest": 50, "neighbours": 20, "last_items": 5, "decay": 0.05, "idf": 2.0},
    )


def learned() -> Learned:
    found = Learned(ItemNumbers(), SessionIndex(capacity=3))
    for session in (["gone", "x"], ["x", "y", "z"], ["y", "z"], ["z", "x"]):
        found.sessions.begin([found.numbers.number(item) for item in session])
    found.pairs.learn("1", [found.numbers.number(item) for item in ("x", "y")])
    return found


def test_a_snapshot_comes_back_under_other_numbers(folder: ModelFolder) -> None:
    folder.save(take(learned()), metadata("v1"))
    snapshot, described = folder.load("v1")
    numbers = ItemNumbers()
    for other in ("new", "z"):
        numbers.number(other)
    restored = restore(snapshot, numbers, capacity=10)
    named = [
        [numbers.ids[item] for item in row if item] for row in restored.sessions.rows[:3].tolist()
    ]
    assert named == [["x", "y", "z"], ["y", "z"], ["z", "x"]]
    x, y = numbers.known("x"), numbers.known("y")
    assert restored.pairs.together(x, y) == 1
    assert len(restored.sessions.newest_with(x, 10)) == 2
    assert described == metadata("v1")
    assert described.neighbour_settings().neighbours == 20
    restored.sessions.begin([x, y])
    assert len(restored.sessions.newest_with(x, 10)) == 3


def test_a_version_is_in_force_once_promoted(folder: ModelFolder) -> None:
    assert folder.current() is None
    assert folder.versions() == []
    folder.save(take(learned()), metadata("v1"))
    folder.save(take(learned()), metadata("v2"))
    assert folder.current() is None
    folder.promote("v2")
    assert (folder.current(), folder.versions()) == ("v2", ["v1", "v2"])
    folder.promote("v1")
    assert folder.current() == "v1"


def test_versions_are_never_overwritten(folder: ModelFolder) -> None:
    folder.save(take(learned()), metadata("v1"))
    with pytest.raises(InvalidInput, match="exists"):
        folder.save(take(learned()), metadata("v1"))


def test_what_is_not_there_or_damaged_is_said(folder: ModelFolder) -> None:
    with pytest.raises(NotFound):
        folder.promote("v9")
    for name in ("../v1", "", ".hidden"):
        with pytest.raises(InvalidInput):
            folder.load(name)
    folder.save(take(learned()), metadata("v1"))
    (folder.path / "v1" / "pairs.npz").write_bytes(b"PK")
    with pytest.raises(InvalidInput, match="v1"):
        folder.load("v1")


def test_another_format_is_refused(folder: ModelFolder) -> None:
    described = metadata("v1")
    described.format = 99
    folder.save(take(learned()), described)
    with pytest.raises(InvalidInput, match="format"):
        folder.metadata("v1")


def test_an_empty_shop_has_a_snapshot_too(folder: ModelFolder) -> None:
    empty = take(Learned(ItemNumbers(), SessionIndex(capacity=3)))
    folder.save(replace(empty, sessions=np.zeros((0, 20), dtype=np.int32)), metadata("v1"))
    snapshot, _ = folder.load("v1")
    assert restore(snapshot, ItemNumbers(), 10).sessions.total == 0
