"""The simulated part of `attune bench triggers`: a private system, its customers, and its topics.

The services run on one accelerated clock as in `attune local`; customers, shop and marketing tool
speak HTTP and Kafka with them (`services.simulator`). What is reported is read from the topics when
all is over.
"""

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from services.commands.bench.triggers_record import Gathered
from services.local.servers import Servers
from services.local.system import System, running_system
from services.simulator.client import Addresses, AttuneClient
from services.simulator.clock import DAY_MS, HOUR_MS, BusinessClock
from services.simulator.kafka import named
from services.simulator.marketing_tool import Inbox, follow_channels
from services.simulator.neighbourhood import Neighbourhood, Tally
from services.simulator.people import CHANNELS
from services.simulator.topic_reader import read_to_end
from services.simulator.world import Item, build
from shared.settings import Settings

HOLDOUT: Final = 0.2
"""Share held out: more than a shop would, so that revenue can be compared at all."""
SETTLE_S: Final = 3.0
"""Real time that the last decisions are given to reach the topics."""
SAY_EVERY_S: Final = 30.0

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Simulated:
    """What happened. begin, until: business epoch ms; tally: what customers did; inbox: what the
    tool saw."""

    begin: int
    until: int
    tally: Tally
    inbox: Inbox


def scenarios_of(text: str, zone: str) -> str:
    """The shipped scenarios with the shop's zone and a larger holdout."""
    text = re.sub(r"(?m)^zone:.*\n", "", text)
    text = re.sub(r"(?m)^  holdout:.*\n", "", text)
    text = re.sub(
        r"(?m)^policy:\n", f"policy:\n  holdout: {{share: {HOLDOUT}, salt: bench}}\n", text
    )
    return f"zone: {zone}\n{text}"


async def simulate(
    servers: Servers,
    folder: Path,
    scenarios: Path,
    *,
    world: str,
    customers: int,
    days: float,
    seed: int,
    say: Callable[[str], None],
) -> Simulated:
    """Lives through the days and stops the services. Raises Unavailable where one of them dies."""
    variables = {"ATTUNE_SCENARIOS": str(scenarios)}
    async with running_system(folder, servers, variables=variables) as system:
        clock = BusinessClock.parse(str(servers.settings.clock))
        addresses = Addresses(
            system.collector, system.recommend, system.keys.server, system.keys.browser
        )
        async with AttuneClient.open(addresses) as client:
            built = build(world, seed)
            await system.load_catalogue([item.as_catalogue() for item in built.items])

            async def restock(items: Sequence[Item]) -> None:
                await system.load_catalogue([item.as_catalogue() for item in items])

            shop = Neighbourhood(built, customers, clock, client.send, restock)
            begin = clock.now()
            until = begin + int(days * DAY_MS)
            inbox = await _live(system, shop, clock, until, say)
        # First the one that decides: nobody would hear of what it decides from now on.
        await asyncio.sleep(SETTLE_S)
        await system.processes.stop("profile")
    return Simulated(begin, until, shop.tally, inbox)


async def _live(
    system: System,
    shop: Neighbourhood,
    clock: BusinessClock,
    until: int,
    say: Callable[[str], None],
) -> Inbox:
    settings, inbox = system.settings, Inbox()
    tasks = [
        asyncio.create_task(work)
        for work in (
            follow_channels(settings.bootstrap, settings.namespace, inbox, shop.deliver),
            _tell(system, shop, clock, until, say),
            shop.run(until),
        )
    ]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()
    return inbox


async def _tell(
    system: System,
    shop: Neighbourhood,
    clock: BusinessClock,
    until: int,
    say: Callable[[str], None],
) -> None:
    while True:
        await asyncio.sleep(SAY_EVERY_S)
        system.processes.check()
        tally = shop.tally
        say(
            f"{(until - clock.now()) / DAY_MS:.1f} days to go: {tally.events:,} events, "
            f"{tally.orders:,} orders, {tally.messages:,} messages, "
            f"{tally.unsubscribed} unsubscribed, {tally.behind_ms / HOUR_MS:.1f} h behind at most"
        )


async def gather(settings: Settings) -> Gathered:
    """Reads every topic that tells of messages, from its beginning."""
    bootstrap, namespace = settings.bootstrap, settings.namespace
    gathered = Gathered(BusinessClock.parse(str(settings.clock)).real)
    channels = {named(f"triggers.{name}", namespace): name for name in CHANNELS}
    topics = [*channels, *(named(each, namespace) for each in ("suppressions", "catalogue"))]
    async for record in read_to_end(bootstrap, topics):
        if record.topic in channels:
            name = record.headers["ce_id"].decode()
            data = _decode(record.value)
            gathered.trigger(name, channels[record.topic], data, record.written_at)
        elif record.topic.endswith("suppressions"):
            gathered.suppression(record.headers["ce_id"].decode(), _decode(record.value))
        elif record.value:
            _take_item(gathered, _decode(record.value), record.written_at)
    async for record in read_to_end(bootstrap, [named("events", namespace)]):
        gathered.event(_decode(record.value), record.written_at, record.partition)
    return gathered


def _take_item(gathered: Gathered, data: dict[str, Any], written_at: int) -> None:
    if data["type"] == "item_changed":
        gathered.item(data, written_at)
