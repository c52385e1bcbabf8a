"""Items for payloads, asked for over HTTP: in order, in time, and never at any price."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from prometheus_client import REGISTRY

from services.local.ports import HOST, free_port
from services.profile import payloads as module
from services.profile.payloads import ANSWER_MS, NOTHING, Asked, Offered, Payloads

KEY = "sk_secret"


@dataclass
class Recommend:
    """Answers like recommend does: an item named after the customer; `hangs` for some."""

    requests: list[dict[str, Any]] = field(default_factory=list)
    hangs: set[str] = field(default_factory=set)
    status: int = 200
    answer: bytes | None = None
    connections: set[Any] = field(default_factory=set)

    async def recommend(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.requests.append(asked)
        self.connections.add(request.transport)
        assert request.headers["Authorization"] == f"Bearer {KEY}"
        if asked["customer"] in self.hangs:
            await asyncio.sleep(30)
        items = [] if asked["customer"] == "nobody" else [{"id": f"for-{asked['customer']}"}]
        answer = {"decision_id": f"d-{asked['customer']}", "items": items, "model": {}}
        return web.Response(body=self.answer or json.dumps(answer).encode(), status=self.status)


@asynccontextmanager
async def served(recommend: Recommend, port: int) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/recommend", recommend.recommend)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, HOST, port).start()
    try:
        yield f"http://{HOST}:{port}/"
    finally:
        await runner.cleanup()


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that are not about time: a busy machine must not fail them."""
    monkeypatch.setattr(module, "DEADLINE_S", 10.0)


def ask(customer: str, **more: Any) -> Asked:
    return Asked(customer, "cart_reminder", 4, "cart_abandoned", **more)


def counted(outcome: str) -> float:
    found = REGISTRY.get_sample_value("attune_profile_payloads_total", {"outcome": outcome})
    return found or 0.0


async def test_each_is_answered_in_its_order(patient: None) -> None:
    recommend = Recommend()
    async with served(recommend, free_port()) as url, Payloads.open(url, KEY) as payloads:
        names = [f"c{number}" for number in range(100)]
        answers = await payloads.ask([ask(name) for name in (*names, "nobody")])
        assert answers[:-1] == [Offered([f"for-{name}"], f"d-{name}") for name in names]
        assert answers[-1] == Offered([], "d-nobody")
        first = len(recommend.connections)
        await payloads.ask([ask("once-more")])
        assert len(recommend.connections) == first, "connections are kept"
        assert await payloads.ask([]) == []


async def test_recommend_hears_of_the_moment(patient: None) -> None:
    recommend = Recommend()
    async with served(recommend, free_port()) as url, Payloads.open(url, KEY) as payloads:
        await payloads.ask([ask("ada", item="lamp"), ask("bob")])
    one, two = sorted(recommend.requests, key=lambda each: each["customer"])
    assert one == {
        "customer": "ada",
        "placement": "cart_reminder",
        "n": 4,
        "context": {"trigger": "cart_abandoned", "item": "lamp"},
        "deadline_ms": ANSWER_MS,
    }
    assert two["context"] == {"trigger": "cart_abandoned"}


async def test_who_is_late_goes_without_and_the_others_do_not_wait() -> None:
    recommend = Recommend(hangs={"slow"})
    async with served(recommend, free_port()) as url, Payloads.open(url, KEY) as payloads:
        before = counted("late")
        slow, _ = await payloads.ask([ask("slow"), ask("quick")])
        assert slow == NOTHING
        assert counted("late") - before >= 1


@pytest.mark.parametrize(
    ("status", "answer"), [(503, None), (401, b"{}"), (200, b"not json"), (200, b'{"items": 1}')]
)
async def test_what_is_no_answer_gives_nothing(
    patient: None, status: int, answer: bytes | None
) -> None:
    recommend = Recommend(status=status, answer=answer)
    before = counted("refused")
    async with served(recommend, free_port()) as url, Payloads.open(url, KEY) as payloads:
        assert await payloads.ask([ask("ada"), ask("bob")]) == [NOTHING, NOTHING]
    assert counted("refused") - before == 2


async def test_without_an_address_nobody_is_asked() -> None:
    before = counted("off")
    async with Payloads.open("", "") as payloads:
        assert await payloads.ask([ask("ada")]) == [NOTHING]
    assert counted("off") - before == 1


async def test_a_dead_recommend_is_left_alone_and_then_asked_again(
    patient: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    recommend = Recommend()
    async with Payloads.open(f"http://{HOST}:{port}", KEY) as payloads:
        away, resting = counted("away"), counted("resting")
        for _ in range(5):
            assert await payloads.ask([ask("ada")]) == [NOTHING]
        assert (counted("away") - away, counted("resting") - resting) == (3, 2)
        async with served(recommend, port):
            assert await payloads.ask([ask("ada")]) == [NOTHING]
            assert recommend.requests == []
            monkeypatch.setattr(payloads, "_rests_until", 0.0)
            assert await payloads.ask([ask("ada")]) == [Offered(["for-ada"], "d-ada")]
        # one failure alone, after that answer, puts nobody to rest
        await payloads.ask([ask("ada")])
        assert counted("away") - away == 4
