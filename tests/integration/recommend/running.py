"""The recommend application on a real store and the embedded broker, for tests to call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
from prometheus_client import CollectorRegistry

from services.recommend.api import create_app
from services.recommend.main import opener
from services.recommend.metrics import RecommendMetrics
from services.recommend.settings import RecommendSettings
from shared import bus
from shared.auth import ADMIN, RECOMMEND, new_api_key
from shared.auth_store import KeyStore
from shared.clock import real_now_ms
from shared.database import Database
from shared.events import ItemViewed, encode, identity_key
from shared.generation import Generation, pointer_fields
from shared.health import Check
from shared.keys import Keys, generation_pointer
from shared.migrations import migrate
from shared.profile import View, encode_view
from shared.settings import Settings
from shared.topics import EVENTS
from tests.fixtures.waiting import eventually

GENERATION = "g1"


@dataclass(slots=True)
class Running:
    """The application, and callers with their keys."""

    settings: Settings
    http: httpx.AsyncClient
    metrics: RecommendMetrics
    server: str
    browser: str
    admin: str

    async def ask(self, body: dict[str, Any], *, key: str = "", **headers: str) -> dict[str, Any]:
        response = await self.http.post(
            "/v1/recommend",
            json=body,
            headers={"Authorization": f"Bearer {key or self.server}", **headers},
        )
        assert response.status_code == 200, response.text
        assert response.headers["cache-control"] == "no-store"
        answer: dict[str, Any] = response.json()
        return answer

    async def profile(self, identity: str, view: View, at: int | None = None) -> None:
        from redis.asyncio import Redis

        async with Redis.from_url(self.settings.redis) as client:
            key = Keys(self.settings.namespace, GENERATION).profile(identity)
            mapping: dict[Any, Any] = {"v": encode_view(view), "t": str(at or real_now_ms())}
            await client.hset(key, mapping=mapping)


@asynccontextmanager
async def running(
    settings: Settings, own: RecommendSettings | None = None, items: int = 20
) -> AsyncIterator[Running]:
    await migrate(settings)
    await make_live(settings)
    keys = {}
    async with Database.open(settings) as database:
        for name, kind, scopes in (
            ("server", "server", (RECOMMEND,)),
            ("browser", "browser", (RECOMMEND,)),
            ("admin", "server", (ADMIN,)),
        ):
            keys[name], kept = new_api_key(kind, scopes)
            await KeyStore(database).add(kept, 1)
    metrics, checks = RecommendMetrics(CollectorRegistry()), dict[str, Check]()
    # what is drawn by lot has tests of its own
    own = own or RecommendSettings(
        store_deadline_ms=2_000, deadline_ms=4_000, model_poll_s=0.1, explore_share=0.0
    )
    open_deciding = opener(settings, own, metrics, checks)
    app = create_app(open_deciding, metrics, checks, ["https://shop.example"])
    async with open_deciding() as deciding:
        state = {"deciding": deciding, "administration": deciding.administration}

        async def with_state(scope: Any, receive: Any, send: Any) -> None:
            scope["state"] = dict(state)
            await app(scope, receive, send)

        transport = httpx.ASGITransport(app=with_state)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
            shop = Running(settings, http, metrics, **keys)
            await _stock(shop, items)
            yield shop


async def make_live(settings: Settings) -> None:
    from redis.asyncio import Redis

    fields: dict[Any, Any] = pointer_fields(Generation(GENERATION, "topic-1", settings.partitions))
    async with Redis.from_url(settings.redis) as client:
        await client.hset(generation_pointer(settings.namespace), mapping=fields)


async def _stock(shop: Running, items: int) -> None:
    records = [
        {"item": f"i{n}", "category": f"c{n % 4}", "price": 100, "currency": "EUR"}
        for n in range(items)
    ]
    answer = await shop.http.post(
        "/v1/admin/items:bulk", json=records, headers={"Authorization": f"Bearer {shop.admin}"}
    )
    assert answer.json()["accepted"] == items

    async def stocked() -> bool:
        ready = await shop.http.get("/health/ready")
        answer = await shop.ask({"n": 100})
        return ready.status_code == 200 and len(answer["items"]) == items

    await eventually(stocked, what="the catalogue is live and all is ready")


async def produce(settings: Settings, *facts: Any) -> None:
    async with bus.Producer.open(settings) as producer:
        for fact in facts:
            topic = EVENTS.named(settings.namespace)
            await producer.send(topic, encode(fact), key=identity_key(fact).encode())
        await producer.flush()


def viewed(item: str, at: int, anonymous: str) -> ItemViewed:
    return ItemViewed(
        event_id=f"{anonymous}-{at}", occurred_at=at, received_at=at, anonymous=anonymous, item=item
    )
