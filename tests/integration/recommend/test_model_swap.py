"""Versions promoted one after the other under load: no request fails, and no answer mixes two."""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import obstore
import pytest
from obstore.store import LocalStore

from services.local.ports import free_ports
from services.local.servers import environment
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.learning import Learned
from services.recommend.numbers import ItemNumbers
from shared import bus
from shared.auth import RECOMMEND, new_api_key
from shared.auth_store import KeyStore
from shared.catalogue import ItemChanged, encode, item_key
from shared.database import Database
from shared.migrations import migrate
from shared.models.metadata import Metadata
from shared.models.store import ModelStore
from shared.settings import Settings
from shared.topics import CATALOGUE
from tests.fixtures.learned_parts import parts_of
from tests.fixtures.waiting import eventually

ITEMS = 3_000
CONNECTIONS = 6
RATE = 20
"""Requests a second of each connection."""
VERSIONS = ("v1", "v2", "v3")


def version_with(next_item: str, together: str) -> Learned:
    """A shop of many items, in which `next_item` follows i0, and `together` goes with it."""
    learned = Learned(ItemNumbers(), SessionIndex(capacity=10_000))
    number = learned.numbers.number
    for place in range(10, ITEMS - 2):
        learned.sessions.begin([number(f"i{place}"), number(f"i{place + 1}")])
        learned.pairs.learn(f"o{place}", [number(f"i{place}"), number(f"i{place + 2}")])
    for time in range(30):
        learned.sessions.begin([number("i0"), number(next_item)])
        learned.pairs.learn(f"own-{time}", [number("i0"), number(together)])
    return learned


def save(settings: Settings, version: str, learned: Learned) -> None:
    metadata = Metadata(name="linear", version=version, trained_at="2026-01-01T00:00:00Z")
    ModelStore.open(settings.models).save(metadata, learned.numbers.ids, parts_of(learned))


@contextmanager
def recommend(settings: Settings) -> Iterator[str]:
    (port,) = free_ports(1)
    extra = {
        "ATTUNE_RECOMMEND_MODEL_POLL_S": "0.1",
        "ATTUNE_RECOMMEND_EXPLORE_SHARE": "0",
        # on a busy machine an answer may come late, but is to be of the model all the same
        "ATTUNE_RECOMMEND_DEADLINE_MS": "10000",
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "services.cli", "recommend", "--port", str(port)],
        env={**os.environ, **environment(settings), **extra},
        stderr=subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=60)


@dataclass(slots=True)
class Load:
    """Requests at a steady rate from several connections, until told to stop. answers: what
    followed i0 first in which version's answers; wrong: all that was no good answer."""

    address: str
    key: str
    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    done: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(CONNECTIONS):
                group.create_task(self._ask())

    async def _ask(self) -> None:
        loop, turn = asyncio.get_running_loop(), 0
        headers = {"Authorization": f"Bearer {self.key}"}
        began = loop.time()
        async with httpx.AsyncClient(base_url=self.address, headers=headers, timeout=30) as http:
            while not self.done.is_set():
                turn += 1
                await asyncio.sleep(max(0.0, began + turn / RATE - loop.time()))
                body = {"session": ["i0"], "context": {"cart": ["i0"]}, "n": 2}
                try:
                    answer = await http.post("/v1/recommend", json=body)
                except httpx.HTTPError as error:
                    self.wrong.append(repr(error))
                    continue
                if answer.status_code != 200:
                    self.wrong.append(answer.text)
                    continue
                found = answer.json()
                items = "+".join(sorted(item["id"] for item in found["items"]))
                self.answers[found["model"]["version"], items] += 1

    def seen(self, version: str) -> int:
        return sum(count for (found, _), count in self.answers.items() if found == version)


async def stocked(settings: Settings) -> None:
    topic = CATALOGUE.named(settings.namespace)
    async with bus.Producer.open(settings) as producer:
        for number in range(ITEMS):
            item = ItemChanged(item=f"i{number}", price=100, currency="EUR", changed_at=1)
            await producer.send(topic, encode(item), key=item_key(item.item).encode())
        await producer.flush()


async def key_for(settings: Settings) -> str:
    key, kept = new_api_key("server", (RECOMMEND,))
    async with Database.open(settings) as database:
        await KeyStore(database).add(kept, 1)
    return key


@pytest.mark.timeout(400)
async def test_versions_are_swapped_under_load_without_a_failed_request(
    embedded_settings: Settings,
) -> None:
    settings = embedded_settings
    await migrate(settings)
    await stocked(settings)
    store = ModelStore.open(settings.models)
    own = {version: (f"i{2 * place + 2}", f"i{2 * place + 3}")
           for place, version in enumerate(VERSIONS)}  # fmt: skip
    for version, items in own.items():
        save(settings, version, version_with(*items))
    store.promote("v1", 1)
    with recommend(settings) as address:
        load = Load(address, await key_for(settings))

        async def ready() -> bool:
            try:
                async with httpx.AsyncClient(base_url=address, timeout=30) as http:
                    return (await http.get("/health/ready")).status_code == 200
            except httpx.HTTPError:
                return False

        await eventually(ready, within_s=200, what="recommend is ready")
        running = asyncio.create_task(load.run())
        for version in VERSIONS:
            store.promote(version, 2)
            before = load.seen(version)
            await eventually(
                lambda version=version, before=before: load.seen(version) >= before + 40,
                within_s=90,
                what=f"{version} answers",
            )
        load.done.set()
        await running
    assert load.wrong == []
    expected = {(version, "+".join(sorted(items))) for version, items in own.items()}
    assert set(load.answers) == expected


@pytest.mark.timeout(400)
async def test_a_damaged_version_is_passed_over_and_counted(embedded_settings: Settings) -> None:
    settings = embedded_settings
    await migrate(settings)
    await stocked(settings)
    store = ModelStore.open(settings.models)
    save(settings, "v1", version_with("i2", "i3"))
    save(settings, "v2", version_with("i4", "i5"))
    save(settings, "v3", version_with("i6", "i7"))
    store.promote("v1", 1)
    store.promote("v2", 2)
    objects = LocalStore(Path(settings.models))
    obstore.put(objects, "v2/sessions.npz", b"PK")
    with recommend(settings) as address:
        headers = {"Authorization": f"Bearer {await key_for(settings)}"}
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as http:

            async def answered(version: str) -> bool:
                try:
                    ready = await http.get("/health/ready")
                    found = await http.post("/v1/recommend", json={"session": ["i0"], "n": 1})
                except httpx.HTTPError:
                    return False
                model = found.json().get("model", {})
                return ready.status_code == 200 and model.get("version") == version

            await eventually(
                lambda: answered("v1"), within_s=200, what="the one before is in force"
            )
            counted = (await http.get("/metrics")).text
            assert "attune_recommend_models_refused_total 1.0" in counted
            store.promote("v3", 3)
            await eventually(lambda: answered("v3"), within_s=90, what="a whole one is taken up")
            save(settings, "v4", version_with("i8", "i9"))
            obstore.put(objects, "v4/sessions.npz", b"PK")
            obstore.put(objects, "promotions.json", b'[{"version":"v4","at":4}]')

            async def refused() -> bool:
                text = (await http.get("/metrics")).text
                return "attune_recommend_models_refused_total 2.0" in text

            await eventually(refused, within_s=90, what="the damaged one is seen")
            await eventually(lambda: answered("v3"), within_s=90, what="the whole one stays")
