"""Items for a message's payload: recommend's own ranking for that customer and that moment.

Asked between deciding and stating, for a group of messages at once. A message never waits longer
than DEADLINE_S for its items and is never lost for them: without an answer it goes without items.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, Self

import aiohttp
import msgspec
from msgspec import Struct

from services.profile import metrics

DEADLINE_S: Final = 0.05
"""For all of a group together."""
ANSWER_MS: Final = 40
"""What recommend is given: it steps down rather than answer too late."""
CONNECTIONS: Final = 64
FAILURES: Final = 3
"""So many groups in a row without any answer, and recommend is left alone for a while."""
REST_S: Final = 5.0
PATH: Final = "/v1/recommend"

log = logging.getLogger(__name__)


class Asked(NamedTuple):
    """For whom, where and how many; scenario: the moment; item: what it is about, if an item."""

    customer: str
    placement: str
    n: int
    scenario: str
    item: str = ""


class Offered(NamedTuple):
    """Items, best first; decision_id: recommend's, which clicks on them may name."""

    items: list[str]
    decision_id: str = ""


NOTHING: Final = Offered([])


class _Item(Struct):
    id: str


class _Answer(Struct):
    decision_id: str
    items: list[_Item]


_decoder = msgspec.json.Decoder(_Answer)


class Payloads:
    """Asks one recommend. Open with `open`; without an address every answer is empty."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url.rstrip("/") + PATH if url else ""
        self._failures = 0
        self._rests_until = 0.0

    @classmethod
    @asynccontextmanager
    async def open(cls, url: str, key: str) -> AsyncIterator[Self]:
        """key: a server key with the scope `recommend`. Opens no connection yet."""
        headers = {"Content-Type": "application/json"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        connector = aiohttp.TCPConnector(limit=CONNECTIONS)
        async with aiohttp.ClientSession(connector=connector, headers=headers) as session:
            yield cls(session, url)

    async def ask(self, asked: Sequence[Asked]) -> list[Offered]:
        """An answer to each, in their order, within DEADLINE_S; never raises."""
        if not asked:
            return []
        loop = asyncio.get_running_loop()
        silent = "off" if not self._url else "resting" if loop.time() < self._rests_until else ""
        if silent:
            metrics.PAYLOADS.labels(silent).inc(len(asked))
            return [NOTHING] * len(asked)
        tasks = [asyncio.create_task(self._one(each)) for each in asked]
        _, late = await asyncio.wait(tasks, timeout=DEADLINE_S)
        for task in late:
            task.cancel()
        if late:
            metrics.PAYLOADS.labels("late").inc(len(late))
            await asyncio.wait(late)
        self._heard(any(_answer(task) is not None for task in tasks), loop.time())
        return [_answer(task) or NOTHING for task in tasks]

    def _heard(self, answered: bool, now: float) -> None:
        if answered:
            self._failures = 0
            return
        self._failures += 1
        if self._failures >= FAILURES:
            self._rests_until = now + REST_S
            log.warning("recommend does not answer: messages go without items for a while")

    async def _one(self, asked: Asked) -> Offered | None:
        try:
            async with self._session.post(self._url, data=_body(asked)) as response:
                content = await response.read()
                outcome = "" if response.status == 200 else "refused"
        except (aiohttp.ClientError, OSError) as error:
            log.debug("recommend is away", extra={"error": type(error).__name__})
            outcome = "away"
        if not outcome:
            try:
                answer = _decoder.decode(content)
            except msgspec.MsgspecError:
                outcome = "refused"
            else:
                metrics.PAYLOADS.labels("items" if answer.items else "empty").inc()
                return Offered([item.id for item in answer.items], answer.decision_id)
        metrics.PAYLOADS.labels(outcome).inc()
        return None


def _answer(task: "asyncio.Task[Offered | None]") -> Offered | None:
    return None if task.cancelled() else task.result()


def _body(asked: Asked) -> bytes:
    context: dict[str, Any] = {"trigger": asked.scenario}
    if asked.item:
        context["item"] = asked.item
    return msgspec.json.encode(
        {
            "customer": asked.customer,
            "placement": asked.placement,
            "n": asked.n,
            "context": context,
            "deadline_ms": ANSWER_MS,
        }
    )
