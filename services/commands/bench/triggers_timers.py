"""Timers in real time, for `attune bench triggers`: how late they are with many of them pending.

One profile process, the real store and the real log, no accelerated clock. Each of many customers
puts something into a cart a day ago or a little later, and the scenario speaks a day after that: so
some become due while it is watched, and most stay pending. Late is from the due time to the record
in `triggers.email`: looking, asking again, deciding, writing the fact, folding it and publishing.
"""

import asyncio
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from services.local.guard import Guarded
from services.local.ports import HOST, free_port
from services.local.servers import Servers, environment
from services.simulator.kafka import named
from services.simulator.latencies import percentile
from services.simulator.topic_reader import read_to_end
from shared import topics
from shared.bus import Producer, ensure_topics
from shared.clock import Clock, real_now_ms
from shared.errors import Unavailable
from shared.events import CartAdded, customer_key, encode
from shared.settings import Settings

NAMESPACE: Final = "timers"
DAY_MS: Final = 86_400_000
PENDING: Final = 100_000
FIRED: Final = 3_000
"""Timers beside them that become due while it is watched."""
A_SECOND: Final = 50
LEAD_S: Final = 60.0
"""From the first fact to the first due time: all must be folded by then."""
SETTLE_S: Final = 5.0
FLUSH_EVERY: Final = 5_000
START_S: Final = 60.0
SCENARIOS: Final = """\
version: timers
scenarios:
  - name: a_day_later
    on: cart_added
    after: 1d
    life: 1h
    purpose: marketing
    channels: [email]
policy:
  purposes:
    marketing: {basis: consent}
"""


async def time_timers(servers: Servers, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """pending: timers that were pending all the time; late_p50_ms, late_p99_ms, late_max_ms; fired,
    missed: of those that were to fire. Raises Unavailable where profile does not come up."""
    settings = replace(servers.settings, namespace=NAMESPACE, clock=Clock())
    file = folder / "timers.yaml"
    file.write_text(SCENARIOS)
    await ensure_topics(settings)
    process = await asyncio.to_thread(_start, settings, folder, file)
    try:
        say(f"{PENDING + FIRED:,} timers, in real time")
        due = await _fill(settings)
        wait = (max(due[:FIRED]) - real_now_ms()) / 1000 + SETTLE_S
        await asyncio.sleep(max(0.0, wait))
        if not process.alive():
            raise Unavailable(f"profile has ended; its log is {process.log}")
    finally:
        await asyncio.to_thread(process.stop)
    return await _lateness(settings, due)


def _start(settings: Settings, folder: Path, scenarios: Path) -> Guarded:
    port = free_port()
    process = Guarded.start(
        [sys.executable, "-m", "services.cli", "profile", "--port", str(port)],
        log=folder / "profile-timers.log",
        environment={**environment(settings), "ATTUNE_SCENARIOS": str(scenarios)},
    )
    process.await_ready(lambda: _answers(port), START_S, "profile")
    return process


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/health/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


async def _fill(settings: Settings) -> list[int]:
    """Writes the facts; when each customer's timer is due, the first FIRED of them soon."""
    topic = topics.EVENTS.named(settings.namespace)
    begun = real_now_ms()
    first = begun + int(LEAD_S * 1000)
    due = [first + number * 1000 // A_SECOND for number in range(FIRED)]
    due += [first + DAY_MS // 2 + number for number in range(PENDING)]
    async with Producer.open(settings) as producer:
        for number, at in enumerate(due):
            customer = f"customer-{number}"
            fact = CartAdded(
                event_id=f"cart-{number}",
                occurred_at=at - DAY_MS,
                received_at=begun,
                customer=customer,
                item="lamp",
                price=1_999,
                currency="GBP",
            )
            await producer.send(topic, encode(fact), key=customer_key(customer).encode())
            if number % FLUSH_EVERY == 0:
                await producer.flush()
        await producer.flush()
    return due


async def _lateness(settings: Settings, due: list[int]) -> dict[str, Any]:
    late: dict[str, float] = {}
    topic = named("triggers.email", settings.namespace)
    async for record in read_to_end(settings.bootstrap, [topic]):
        customer = msgspec.json.decode(record.value)["customer"]
        at = due[int(customer.rpartition("-")[2])]
        late.setdefault(customer, float(record.written_at - at))
    values = list(late.values())
    return {
        "pending": PENDING,
        "late_p50_ms": percentile(values, 0.5),
        "late_p99_ms": percentile(values, 0.99),
        "late_max_ms": percentile(values, 1.0),
        "fired": len(values),
        "missed": FIRED - len(values),
    }
