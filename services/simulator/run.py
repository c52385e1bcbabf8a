"""The simulated shop as a program: `python -m services.simulator.run --collector URL ...`.

Keys come from the environment (SHOP_SERVER_KEY, SHOP_BROWSER_KEY). Progress goes to the file
`--output` as JSON lines, `{"progress": {...}}` each second and `{"report": {...}}` at the end. It
ends after `--seconds`, or on SIGTERM or SIGINT once running visits are finished.
"""

import argparse
import asyncio
import gc
import logging
import os
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TextIO

import msgspec
import uvloop

from services.simulator.client import Addresses, AttuneClient
from services.simulator.clock import BusinessClock
from services.simulator.kafka import OrderSystem, follow_triggers
from services.simulator.latencies import percentile, summary
from services.simulator.probe import FreshnessProbe
from services.simulator.shop import Shop
from services.simulator.world import WORLDS, build

PROBES_PER_S: Final = 8.0
EXAMPLES: Final = 8


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the shop and returns when it has closed."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)
    uvloop.run(_run(options))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulator", description="The simulated shop.")
    parser.add_argument("--collector", required=True, help="base URL of the collector")
    parser.add_argument("--recommend", required=True, help="base URL of recommend")
    parser.add_argument("--kafka", required=True, help="bootstrap address, host:port")
    parser.add_argument("--namespace", default="")
    parser.add_argument("--clock", default="", help="real_epoch_ms:sim_epoch_ms:speed")
    parser.add_argument("--world", choices=sorted(WORLDS), default="default")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--output", type=Path, required=True, help="file for JSON lines")
    return parser


async def _run(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.call_later(options.seconds, stop.set)
    addresses = Addresses(
        options.collector,
        options.recommend,
        os.environ["SHOP_SERVER_KEY"],
        os.environ["SHOP_BROWSER_KEY"],
    )
    clock = BusinessClock.parse(options.clock)
    world = build(options.world, options.seed)
    with options.output.open("a", buffering=1) as output:
        async with (
            AttuneClient.open(addresses) as client,
            OrderSystem.open(options.kafka, options.namespace) as orders,
        ):
            shop = Shop(world, client, clock, orders.book)
            items = [item.id for item in world.items]
            probe = FreshnessProbe(client, clock, items, seed=options.seed)
            gc.freeze()
            await _open_shop(options, shop, probe, stop, output)
            report = _report(shop, probe, orders.sent, options.seed)
            _say(output, report=report)


async def _open_shop(
    options: argparse.Namespace,
    shop: Shop,
    probe: FreshnessProbe,
    stop: asyncio.Event,
    output: TextIO,
) -> None:
    mail = asyncio.create_task(follow_triggers(options.kafka, options.namespace, shop.deliver))
    # A subscription that breaks closes the shop, and the error is raised below.
    mail.add_done_callback(lambda _: stop.set())
    ticker = asyncio.create_task(_tick(shop, probe, output))
    try:
        await asyncio.gather(shop.run(stop), probe.run(PROBES_PER_S, stop))
    finally:
        for task in (mail, ticker):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


async def _tick(shop: Shop, probe: FreshnessProbe, output: TextIO) -> None:
    started = time.perf_counter()
    while True:
        await asyncio.sleep(1.0)
        elapsed = time.perf_counter() - started
        events = shop.client.traffic.events
        recent = probe.result.visible_ms[-50:]
        _say(
            output,
            progress={
                "elapsed_s": round(elapsed, 1),
                "events": events,
                "events_per_second": round(events / elapsed, 1),
                "visits": shop.counts.visits,
                "decisions": shop.client.traffic.decisions,
                "orders": shop.counts.orders,
                "freshness_p50_ms": percentile(recent, 0.5),
            },
        )


def _report(shop: Shop, probe: FreshnessProbe, booked: int, seed: int) -> dict[str, Any]:
    traffic = shop.client.traffic
    return {
        "freshness_ms": summary(probe.result.visible_ms),
        "accepted_ms": summary(probe.result.accepted_ms),
        "recommend_ms": summary(traffic.recommend_ms),
        "conversion": shop.conversions.as_json(seed),
        "decisions": traffic.decisions,
        "fallbacks": dict(traffic.fallbacks),
        "errors": dict(traffic.errors),
        "sent": {
            "over_http": traffic.events,
            "over_kafka": booked,
            "statuses": dict(traffic.statuses),
            "resent": shop.counts.resent,
            "broken": shop.counts.broken,
        },
        "shop": msgspec.to_builtins(shop.counts),
        "customers": _most_active(shop),
    }


def _most_active(shop: Shop) -> list[dict[str, Any]]:
    """A few customers who came often and are known to the shop, with what they truly like."""
    known = [shopper for shopper in shop.shoppers if shopper.met]
    known.sort(
        key=lambda shopper: (
            -shop.visits_of.get(shopper.traits.customer, 0),
            shopper.traits.customer,
        )
    )
    return [
        {
            "customer": shopper.traits.customer,
            "country": shopper.traits.country,
            "visits": shop.visits_of.get(shopper.traits.customer, 0),
            "likes": sorted(
                shopper.traits.categories, key=lambda name: -shopper.traits.categories[name]
            )[:2],
        }
        for shopper in known[:EXAMPLES]
    ]


def _say(output: TextIO, **line: Any) -> None:
    output.write(msgspec.json.encode(line).decode() + "\n")


if __name__ == "__main__":
    main()
