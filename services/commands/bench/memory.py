"""`attune bench memory`: what a customer costs in Redis, and how large the view is."""

import asyncio
import random
import statistics
import tempfile
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any, Final

import click
from tqdm import tqdm

from services.commands.bench.workload import CATEGORIES, favourite_item, shop_fact
from services.commands.output import Report, json_option
from services.local.store import embedded_store
from services.profile.identity import Delivery, Identity, apply
from services.profile.moments.around import Around
from services.profile.moments.assessing import assess, newest_position
from services.profile.moments.due import next_due
from services.profile.moments.noting import note
from services.profile.moments.waiting import Waiting
from services.profile.scenarios.book import Book
from services.profile.scenarios.holding import SHIPPED, load
from services.profile.store import ProfileStore
from services.profile.store_values import DueTimer
from shared import events as facts
from shared.clock import real_now_ms
from shared.keys import Keys
from shared.settings import Settings
from shared.store import open_redis

EVENTS_A_CUSTOMER: Final = 200
LAST_DAY_EVENTS: Final = 40
DAY_MS: Final = 86_400_000
DAYS: Final = 30
LIKED_CATEGORIES: Final = 4
CHECK_OUT: Final = 0.05
PARTITIONS: Final = 16
OFFSETS_BETWEEN: Final = 100_000 // PARTITIONS
"""Facts of others between two of a customer, where 100,000 are equally active."""
GENERATION: Final = "0badcafe"
CHUNK: Final = 200
MOST_BYTES: Final = 2_048
MOST_VIEW_BYTES: Final = 700


@click.command()
@click.option("--customers", type=click.IntRange(100, 1_000_000), default=2_000, show_default=True)
@click.option("--runs", type=click.IntRange(3, 20), default=3, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@json_option
def command(customers: int, runs: int, seed: int, as_json: bool) -> None:
    """Measure what a customer costs in Redis.

    200 events each over 30 days, 40 of them in the last 24 hours, written by the real store code;
    the figure is the difference of Redis's used_memory. bytes_with_moments: the same where the
    shipped scenarios are on, with what waits for each customer and the timer. Exit 1 above 2,048
    bytes a customer without these, or a mean view of 700 bytes.
    """
    options = {"customers": customers, "runs": runs}
    with Report("bench memory", as_json=as_json, seed=seed, settings=options) as report:
        measured = []
        for number in range(runs):
            with (
                tempfile.TemporaryDirectory(prefix="attune-bench-") as folder,
                embedded_store(Path(folder), prefer="system") as store,
            ):
                report.machine(store=store.description)
                settings = Settings(redis=store.url)
                measured.append(asyncio.run(_run(settings, customers, seed + number)))
        middle = sorted(measured, key=lambda run: run["bytes_per_customer"])[runs // 2]
        report.add(customers=customers, runs=measured, **middle)
        report.check("bytes_per_customer", middle["bytes_per_customer"] <= MOST_BYTES)
        report.check("view_bytes_mean", middle["view_bytes_mean"] <= MOST_VIEW_BYTES)


async def _run(settings: Settings, customers: int, seed: int) -> dict[str, Any]:
    draw = random.Random(seed)
    views: list[int] = []
    moments = 0
    async with open_redis(settings) as redis:
        store = ProfileStore(redis, Keys("", GENERATION), "bench")
        begun = (await redis.info("memory"))["used_memory"]
        waiting: dict[str, list[Waiting]] = {}
        with tqdm(total=customers, desc="writing customers", leave=False, disable=None) as bar:
            for first in range(0, customers, CHUNK):
                numbers = range(first, min(first + CHUNK, customers))
                identities = [_customer(draw, number) for number in numbers]
                for identity in identities:
                    waiting[identity.key], identity.waiting = identity.waiting, []
                await store.save(identities)
                found = await store.views([identity.key for identity in identities])
                views += map(len, found.values())
                bar.update(len(identities))
        written = (await redis.info("memory"))["used_memory"]
        for keys in batched(waiting, CHUNK):
            moments += await _put_beside(store, {key: waiting[key] for key in keys})
        ended = (await redis.info("memory"))["used_memory"]
    return {
        "bytes_per_customer": round((written - begun) / customers),
        "bytes_with_moments": round((ended - begun) / customers),
        "moments_mean": round(moments / customers, 1),
        "view_bytes_mean": round(statistics.mean(views)),
        "view_bytes_max": max(views),
    }


def batched(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    """Pieces of at most `size`."""
    left = list(keys)
    for start in range(0, len(left), size):
        yield left[start : start + size]


async def _put_beside(store: ProfileStore, waiting: dict[str, list[Waiting]]) -> int:
    """Writes the moments of customers and their timers; how many moments there were."""
    identities = await store.load(list(waiting))
    timers = []
    for number, (key, identity) in enumerate(identities.items()):
        identity.waiting = waiting[key]
        due = next_due(identity)
        if due is not None:
            timers.append(DueTimer(number % PARTITIONS, key, due))
    await store.schedule(timers)
    await store.save_beside(list(identities.values()))
    return sum(map(len, waiting.values()))


def _customer(draw: random.Random, number: int) -> Identity:
    """A customer as the profile process would leave it, with what waits by then: what had come was
    decided, or was no more so."""
    identity = Identity(facts.customer_key(f"customer-{number:07d}"))
    offset = draw.randrange(EVENTS_A_CUSTOMER * OFFSETS_BETWEEN)
    book, around = _book(), Around()
    at = 0
    for fact in _history(draw, f"customer-{number:07d}"):
        offset += 1 + draw.randrange(2 * OFFSETS_BETWEEN)
        at = fact.occurred_at
        identity.waiting = [each for each in identity.waiting if each.due > at]
        apply(identity, Delivery(fact, number % PARTITIONS, offset))
        note(identity, fact, book, around)
    assess(identity, book, around, at, newest_position(identity))
    # What changed would be facts of the log by now.
    identity.outbox = []
    return identity


@cache
def _book() -> Book:
    return load(SHIPPED)


def _history(draw: random.Random, customer: str) -> Iterator[facts.AnyFact]:
    """200 facts in order of time; a purchase buys something that lies in the cart."""
    now = real_now_ms()
    liked = draw.sample(range(CATEGORIES), LIKED_CATEGORIES)
    earlier = EVENTS_A_CUSTOMER - LAST_DAY_EVENTS
    times = [now - draw.randrange(DAY_MS, DAYS * DAY_MS) for _ in range(earlier)]
    times += [now - draw.randrange(DAY_MS) for _ in range(LAST_DAY_EVENTS)]
    cart: list[int] = []
    for number, at in enumerate(sorted(times)):
        item = favourite_item(draw, liked)
        kind = None
        if cart and draw.random() < CHECK_OUT:
            item, kind = cart.pop(), "purchased"
        fact = shop_fact(draw, number, {"customer": customer}, item, at, at, kind=kind)
        if isinstance(fact, facts.CartAdded):
            cart.append(item)
        yield fact
