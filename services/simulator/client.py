"""The shop's way to Attune over HTTP: events to the collector, questions to recommend.

A page that an anonymous visitor sees sends with the browser key, the shop's backend with the
server key. What is refused for the moment (429, 503) is sent again, as an SDK would.
"""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp
import msgspec

from services.simulator.actions import Ask, Offers

ATTEMPTS: Final = 5
CONNECTIONS: Final = 64
TIMEOUT_S: Final = 10.0
ORDERS: Final = frozenset({"purchased", "refunded"})

_decode_answer = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where the shop finds Attune, and the keys it was given."""

    collector: str
    recommend: str
    server_key: str = field(repr=False)
    browser_key: str = field(repr=False)


@dataclass(slots=True)
class Traffic:
    """What was sent and how it went; latencies in milliseconds, as the shop sees them."""

    events: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    decisions: int = 0
    fallbacks: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    recommend_ms: list[float] = field(default_factory=list)


class AttuneClient:
    """Sends events and asks for offers. Open with `open`; failures are counted, not raised."""

    def __init__(self, session: aiohttp.ClientSession, addresses: Addresses) -> None:
        self._session = session
        self._events_url = addresses.collector + "/v1/events"
        self._recommend_url = addresses.recommend + "/v1/recommend"
        self._server = {"Authorization": f"Bearer {addresses.server_key}"}
        self._browser = {"Authorization": f"Bearer {addresses.browser_key}"}
        self.traffic = Traffic()

    @classmethod
    @asynccontextmanager
    async def open(cls, addresses: Addresses) -> AsyncIterator["AttuneClient"]:
        """A client with its own connections."""
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S)
        headers = {"Content-Type": "application/json"}
        async with aiohttp.ClientSession(
            connector=connector, timeout=timeout, headers=headers
        ) as session:
            yield cls(session, addresses)

    async def send(self, events: list[dict[str, Any]]) -> bool:
        """Sends one event or several in one request; whether the collector took the request."""
        body = msgspec.json.encode(events[0] if len(events) == 1 else events)
        secret = any("customer" in event or event["type"] in ORDERS for event in events)
        headers = self._server if secret else self._browser
        for attempt in range(ATTEMPTS):
            try:
                async with self._session.post(self._events_url, data=body, headers=headers) as got:
                    content = await got.read()
                    if got.status == 200:
                        self._count(len(events), content)
                        return True
                    self.traffic.errors[f"events {got.status}"] += 1
                    if got.status not in {429, 503}:
                        return False
            except (aiohttp.ClientError, TimeoutError) as error:
                self.traffic.errors[f"events {type(error).__name__}"] += 1
            await asyncio.sleep(0.2 * 2**attempt)
        return False

    async def ask(self, ask: Ask) -> Offers | None:
        """The offers for a page, or None where there is no answer to show."""
        context = {"country": ask.country}
        if ask.item is not None:
            context["item"] = ask.item
        body = {"placement": ask.placement, "n": ask.count, "context": context, **ask.identity}
        started = time.perf_counter()
        answer = await self.recommend(body)
        if answer is None:
            return None
        self.traffic.recommend_ms.append((time.perf_counter() - started) * 1000)
        self.traffic.decisions += 1
        self.traffic.fallbacks[str(answer["fallback"])] += 1
        items = tuple(item["id"] for item in answer["items"])
        return Offers(answer["decision_id"], answer["arm"], items)

    async def recommend(self, body: dict[str, Any]) -> dict[str, Any] | None:
        """The whole answer to a question; None, and counted, where there is none."""
        data = msgspec.json.encode(body)
        try:
            async with self._session.post(
                self._recommend_url, data=data, headers=self._server
            ) as got:
                content = await got.read()
                if got.status == 200:
                    answer: dict[str, Any] = _decode_answer(content)
                    return answer
                self.traffic.errors[f"recommend {got.status}"] += 1
        except (aiohttp.ClientError, TimeoutError) as error:
            self.traffic.errors[f"recommend {type(error).__name__}"] += 1
        return None

    def _count(self, events: int, content: bytes) -> None:
        self.traffic.events += events
        for result in _decode_answer(content)["results"]:
            self.traffic.statuses[result["status"]] += 1
