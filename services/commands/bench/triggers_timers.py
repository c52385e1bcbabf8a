"""Timers in real time, for `attune bench triggers`: how late they are with many of them pending.

One profile process, the real store and the real log, no accelerated clock. Customers put something
into a cart a day before the scenario speaks of it. First those whose time is half a day off; once
all of them are folded, some whose time comes while it is watched: a steady stream, then many within
one second, as a birthday at ten o'clock has it. Late is from the due time to the record in
`triggers.email`: looking, asking again, deciding, writing the fact, folding it and publishing.
"""

import asyncio
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from services.local.guard import Guarded
from services.local.ports import HOST, free_port
from services.local.servers import Servers, environment
from services.profile.verify.check import wait_until_drained
from services.simulator.kafka import named
from services.simulator.latencies import percentile
from services.simulator.topic_reader import read_again, read_to_end
from shared import topics
from shared.bus import Producer, ensure_topics
from shared.clock import Clock, real_now_ms
from shared.errors import Unavailable
from shared.events import CartAdded, customer_key, encode
from shared.settings import Settings

NAMESPACE: Final = "timers"
DAY_MS: Final = 86_400_000
PENDING: Final = 100_000
STEADY: Final = 3_000
A_SECOND: Final = 50
BURST: Final = 1_000
"""Due within one second, after the steady ones."""
LEAD_S: Final = 10.0
"""From writing the facts of those that fire to the first due time."""
PAUSE_S: Final = 5.0
"""Between the steady ones and the burst, and after it."""
DRAINED_S: Final = 900.0
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
    """pending: timers that were pending all the time; late_p50_ms, late_p99_ms, late_max_ms, fired,
    missed: of the steady ones; burst: the same of those within one second. Raises Unavailable where
    profile does not come up, ends, or does not fold all facts in time."""
    settings = replace(servers.settings, namespace=NAMESPACE, clock=Clock())
    file = folder / "timers.yaml"
    file.write_text(SCENARIOS)
    await ensure_topics(settings)
    process = await asyncio.to_thread(_start, settings, folder, file)
    try:
        say(f"{PENDING:,} pending timers, and {STEADY + BURST:,} that fire, in real time")
        far = real_now_ms() + DAY_MS // 2
        await _write(settings, "pending", [far + number for number in range(PENDING)])
        if not await wait_until_drained(settings, DRAINED_S):
            raise Unavailable(f"the timers were not folded within {DRAINED_S:.0f} s")
        first = real_now_ms() + int(LEAD_S * 1000)
        steady = [first + number * 1000 // A_SECOND for number in range(STEADY)]
        later = steady[-1] + int(PAUSE_S * 1000)
        burst = [later + number * 1000 // BURST for number in range(BURST)]
        await _write(settings, "steady", steady)
        await _write(settings, "burst", burst)
        await asyncio.sleep((burst[-1] - real_now_ms()) / 1000 + PAUSE_S)
        if not process.alive():
            raise Unavailable(f"profile has ended; its log is {process.log}")
    finally:
        await asyncio.to_thread(process.stop)
    due = {"steady": steady, "burst": burst}
    late = await read_again(partial(_lateness, settings, due))
    return {
        "pending": PENDING,
        **_figures(late["steady"], STEADY),
        "burst": _figures(late["burst"], BURST),
    }


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


async def _write(settings: Settings, kind: str, due: list[int]) -> None:
    """A cart of each customer, whose timer is due then."""
    topic = topics.EVENTS.named(settings.namespace)
    now = real_now_ms()
    async with Producer.open(settings) as producer:
        for number, at in enumerate(due):
            customer = f"{kind}-{number}"
            fact = CartAdded(
                event_id=f"cart-{customer}",
                occurred_at=at - DAY_MS,
                received_at=now,
                customer=customer,
                item="lamp",
                price=1_999,
                currency="GBP",
            )
            await producer.send(topic, encode(fact), key=customer_key(customer).encode())
            if number % FLUSH_EVERY == 0:
                await producer.flush()
        await producer.flush()


async def _lateness(settings: Settings, due: dict[str, list[int]]) -> dict[str, list[float]]:
    """By kind, how late each of its customers was written to, in ms; the first time, if ever."""
    late: dict[str, dict[str, float]] = {kind: {} for kind in due}
    topic = named("triggers.email", settings.namespace)
    async for record in read_to_end(settings.bootstrap, [topic]):
        kind, _, number = msgspec.json.decode(record.value)["customer"].partition("-")
        late[kind].setdefault(number, float(record.written_at - due[kind][int(number)]))
    return {kind: list(found.values()) for kind, found in late.items()}


def _figures(late: list[float], expected: int) -> dict[str, Any]:
    return {
        "late_p50_ms": percentile(late, 0.5),
        "late_p99_ms": percentile(late, 0.99),
        "late_max_ms": percentile(late, 1.0),
        "fired": len(late),
        "missed": expected - len(late),
    }
