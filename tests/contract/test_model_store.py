"""The model store, over a folder and over an object store: whole versions or none, one in force."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import obstore
import pytest
from obstore.store import LocalStore, MemoryStore, ObjectStore

from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.learning import Learned
from services.recommend.models.live_parts import live_parts
from services.recommend.numbers import ItemNumbers
from shared.errors import InvalidInput, NotFound, SettingsError, Unavailable
from shared.models.metadata import Metadata
from shared.models.part import Part
from shared.models.store import ITEMS, METADATA, PROMOTIONS, ModelStore
from tests.fixtures.learned_parts import parts_of

OBJECTS: dict[str, Callable[[Path], ObjectStore]] = {
    "folder": lambda path: LocalStore(path / "models", mkdir=True),
    "bucket": lambda _path: MemoryStore(),
}


@pytest.fixture(params=OBJECTS)
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    return OBJECTS[request.param](tmp_path)


@pytest.fixture
def store(objects: ObjectStore) -> ModelStore:
    return ModelStore(objects, "here")


def metadata(version: str) -> Metadata:
    return Metadata(
        name="linear", version=version, trained_at="2026-01-01T00:00:00Z", positions={"0": 7}
    )


def saved(store: ModelStore, *versions: str) -> None:
    for version in versions:
        part = Part("numbers", {"a": np.arange(5, dtype=np.int32)}, {"kept": True})
        store.save(metadata(version), ["", "x", "y"], {"numbers": part})


def test_what_is_saved_is_what_is_loaded(store: ModelStore) -> None:
    arrays = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([True, False])}
    store.save(metadata("v1"), ["", "ü", "y"], {"one": Part("one", arrays, {"rate": 0.5})})
    found, items, parts = store.load("v1")
    assert (found.name, found.positions, items) == ("linear", {"0": 7}, ["", "ü", "y"])
    assert parts["one"].facts == {"rate": 0.5}
    for name, array in arrays.items():
        np.testing.assert_array_equal(parts["one"].arrays[name], array)
        assert parts["one"].arrays[name].dtype == array.dtype


def test_who_needs_some_parts_reads_no_others(store: ModelStore, objects: ObjectStore) -> None:
    parts = {name: Part(name, {"a": np.arange(3)}) for name in ("large", "small")}
    store.save(metadata("v1"), ["", "x"], parts)
    obstore.delete(objects, "v1/large.npz")
    assert set(store.load("v1", only={"small", "unknown"}).parts) == {"small"}


def test_a_version_without_its_metadata_is_none(store: ModelStore, objects: ObjectStore) -> None:
    saved(store, "v1", "v2")
    obstore.delete(objects, f"v1/{METADATA}")
    assert store.versions() == ["v2"]
    for method in (store.load, store.metadata, lambda version: store.promote(version, 1)):
        with pytest.raises(NotFound):
            method("v1")
    saved(store, "v1")
    assert store.versions() == ["v1", "v2"]


def test_versions_are_never_overwritten(store: ModelStore) -> None:
    saved(store, "v1")
    with pytest.raises(InvalidInput, match="exists"):
        saved(store, "v1")


def test_promotions_are_remembered_and_taken_back(store: ModelStore) -> None:
    assert (store.current(), store.versions()) == (None, [])
    saved(store, "v1", "v2", "v3")
    assert store.current() is None
    for at, version in enumerate(("v1", "v2", "v2", "v3")):
        store.promote(version, at)
    assert [(one.version, one.at) for one in store.promotions()] == [
        ("v1", 0), ("v2", 1), ("v3", 3)
    ]  # fmt: skip
    assert (store.rollback(), store.current()) == ("v2", "v2")
    assert (store.rollback(), store.current()) == ("v1", "v1")
    with pytest.raises(NotFound, match="earlier"):
        store.rollback()
    assert store.current() == "v1"


@pytest.mark.parametrize("name", [ITEMS, "numbers.npz"])
@pytest.mark.parametrize("how", ["cut", "changed", "gone"])
def test_a_damaged_version_is_not_loaded_or_promoted(
    store: ModelStore, objects: ObjectStore, name: str, how: str
) -> None:
    saved(store, "v1", "v2", "v3")
    store.promote("v1", 1)
    store.promote("v2", 2)
    store.promote("v3", 3)
    path = f"v2/{name}"
    data = bytes(obstore.get(objects, path).bytes())
    if how == "gone":
        obstore.delete(objects, path)
    else:
        middle = len(data) // 2
        changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
        obstore.put(objects, path, data[:-1] if how == "cut" else changed)
    for method in (store.load, lambda version: store.promote(version, 4)):
        with pytest.raises(InvalidInput, match=r"v2 is damaged.*" + name):
            method("v2")
    assert store.current() == "v3"
    assert store.rollback() == "v1", "what is damaged is passed over"


def test_an_unreadable_or_older_version_says_so(store: ModelStore, objects: ObjectStore) -> None:
    obstore.put(objects, f"v1/{METADATA}", b"{")
    with pytest.raises(InvalidInput, match="v1 is damaged"):
        store.metadata("v1")
    first = {"name": "sessions", "version": "v0", "trained_at": "", "format": 1}
    obstore.put(objects, f"v0/{METADATA}", msgspec.json.encode(first))
    with pytest.raises(InvalidInput, match=r"format 1.*attune train"):
        store.load("v0")
    obstore.put(objects, PROMOTIONS, b"nonsense")
    with pytest.raises(InvalidInput, match="promotions"):
        store.current()


@pytest.mark.parametrize("name", ["../v1", "", ".hidden", "a/b"])
def test_names_that_are_none(store: ModelStore, name: str) -> None:
    for method in (store.load, store.metadata, lambda version: store.promote(version, 1)):
        with pytest.raises(InvalidInput, match="no name"):
            method(name)


def test_addresses(tmp_path: Path) -> None:
    store = ModelStore.open(str(tmp_path / "deep" / "models"))
    saved(store, "v1")
    assert (tmp_path / "deep" / "models" / "v1" / METADATA).is_file()
    for address in ("http://x", "nonsense://bucket/x"):
        with pytest.raises(SettingsError, match="ATTUNE_MODELS"):
            ModelStore.open(address)
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="model store"):
        ModelStore.open(str(tmp_path / "file" / "models"))


def learned() -> Learned:
    found = Learned(ItemNumbers(), SessionIndex(capacity=3))
    for session in (["gone", "x"], ["x", "y", "z"], ["y", "z"], ["z", "x"]):
        found.sessions.begin([found.numbers.number(item) for item in session])
    found.pairs.learn("1", [found.numbers.number(item) for item in ("x", "y")])
    return found


def test_what_was_learned_comes_back_under_other_numbers(store: ModelStore) -> None:
    before = learned()
    settings = NeighbourSettings(newest=50, neighbours=20, last_items=5, decay=0.05, idf=2.0)
    store.save(metadata("v1"), before.numbers.ids, parts_of(before, settings))
    _, items, parts = store.load("v1")
    numbers = ItemNumbers()
    for other in ("new", "z"):
        numbers.number(other)
    local = np.array([0, *map(numbers.number, items[1:])])
    found, chosen = live_parts(parts, local, numbers, capacity=10)
    named = [
        [numbers.ids[item] for item in row if item] for row in found.sessions.rows[:3].tolist()
    ]
    assert named == [["x", "y", "z"], ["y", "z"], ["z", "x"]]
    x, y = numbers.known("x"), numbers.known("y")
    assert found.pairs.together(x, y) == 1
    assert len(found.sessions.newest_with(x, 10)) == 2
    assert chosen == settings
    found.sessions.begin([x, y])
    assert len(found.sessions.newest_with(x, 10)) == 3


def test_an_empty_shop_has_a_version_too(store: ModelStore) -> None:
    empty = Learned(ItemNumbers(), SessionIndex(capacity=3))
    store.save(metadata("v1"), empty.numbers.ids, parts_of(empty))
    _, _, parts = store.load("v1")
    found, settings = live_parts(parts, np.zeros(1, dtype=np.int64), ItemNumbers(), 10)
    assert (found.sessions.total, settings) == (0, NeighbourSettings())
