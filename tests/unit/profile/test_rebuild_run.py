"""The order of a rebuild's steps, where a cluster's nodes may each forget on their own."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from services.profile.rebuild import run, spool
from services.profile.rebuild.filling import Shadow
from services.profile.rebuild.run import Rebuild
from shared.generation import Generation
from shared.generation_store import RebuildUnderWay
from shared.settings import Settings


class Steps:
    """What was done, in order. The store keeps what it is told from the third look on."""

    def __init__(self, *_: Any, **__: Any) -> None:
        self.taken: list[str] = []

    async def until(self) -> float:
        self.taken.append("look")
        return time.monotonic() if self.taken.count("look") > 2 else float("-inf")

    async def remove_profiles(self, identities: Sequence[str]) -> None:
        self.taken.append("remove")

    async def remove_partition(self, partition: int) -> None:
        self.taken.append("remove")

    async def hold_lease(self, token: str) -> None:
        self.taken.append("lease")

    async def release_lease(self, token: str) -> None:
        pass


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> Steps:
    steps = Steps()

    @asynccontextmanager
    async def opened(*_: Any, **__: Any) -> AsyncIterator[None]:
        yield None

    async def bounds(*_: Any) -> dict[int, Any]:
        return {}

    monkeypatch.setattr(run, "topic_bounds", bounds)
    monkeypatch.setattr(run, "open_redis", opened)
    monkeypatch.setattr(run, "RangeReader", SimpleNamespace(open=opened))
    for name in ("GenerationFiller", "GenerationStore", "Keeping"):
        monkeypatch.setattr(run, name, lambda *_, **__: steps)
    return steps


async def test_all_nodes_are_met_before_anything_is_written(
    steps: Steps, base_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rebuild(*_: Any) -> None:
        steps.taken.append("rebuild")

    monkeypatch.setattr(Rebuild, "_rebuild", rebuild)
    await Rebuild(base_settings, "log", grace_s=0, progress=lambda _: None).run()
    assert steps.taken == ["look", "lease", "rebuild"]


@pytest.mark.parametrize(("cluster", "looks"), [(True, 3), (False, 0)])
async def test_a_cluster_keeps_the_pointer_before_old_profiles_are_removed(
    steps: Steps, base_settings: Settings, tmp_path: Path, cluster: bool, looks: int
) -> None:
    settings = replace(base_settings, redis_cluster=cluster)
    rebuild = Rebuild(settings, "log", grace_s=0, progress=lambda _: None)
    rebuild._redis = None  # type: ignore[assignment]
    rebuild._keeping = steps  # type: ignore[assignment]
    spool.append(tmp_path, "0", ["c:alice"])
    shadow = Shadow(settings, "g2", "topic-1", (), tmp_path)
    await rebuild._remove(Generation("g1", "topic-1", 1), shadow, {})
    assert steps.taken == ["look"] * looks + ["remove", "remove"]


@pytest.mark.parametrize("swapped", [False, True])
async def test_a_run_that_lost_its_lease_ends_unless_it_has_swapped(
    steps: Steps, base_settings: Settings, monkeypatch: pytest.MonkeyPatch, swapped: bool
) -> None:
    async def rebuild(self: Rebuild, *_: Any) -> str:
        self._swapped = swapped
        await asyncio.sleep(0.2)
        steps.taken.append("done")
        return "rebuilt"

    async def hold_lease(token: str) -> None:
        if token in steps.taken:
            raise RebuildUnderWay
        steps.taken.append(token)

    monkeypatch.setattr(Rebuild, "_rebuild", rebuild)
    monkeypatch.setattr(run, "LEASE_MS", 20)
    monkeypatch.setattr(steps, "hold_lease", hold_lease)
    running = Rebuild(base_settings, "log", grace_s=0, progress=lambda _: None).run()
    if swapped:
        assert await running == "rebuilt"
    else:
        with pytest.raises(RebuildUnderWay, match="changes nothing"):
            await running
        assert "done" not in steps.taken
