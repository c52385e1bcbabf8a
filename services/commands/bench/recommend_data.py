"""The made-up shop that `attune bench recommend` measures: items, profiles, sessions, requests.

Seeded: the same arguments give the same shop. Shoppers keep to a few categories, so that every
source of candidates has something to say.
"""

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec
from redis import Redis

from services.commands.bench.baseline import FIELDS, KEY
from shared import bus
from shared.bus_offsets import TopicShape
from shared.catalogue import ItemChanged, encode, item_key
from shared.events import customer_key
from shared.generation import Generation, pointer_fields
from shared.keys import Keys, generation_pointer
from shared.profile import Interest, Session, View, encode_view, price_band
from shared.settings import Settings
from shared.topics import CATALOGUE

CATEGORIES: Final = 60
BRANDS: Final = 300
COUNTRIES: Final = ("DE", "FR", "GB", "US")
HOUR: Final = 495_000
PIPELINE: Final = 500


class Shop:
    """Draws items the way shoppers come upon them: some categories, popular items first."""

    def __init__(self, items: int, seed: int) -> None:
        self.items = items
        self.random = Random(seed)

    def item(self, category: int) -> str:
        """An item of a category; low numbers are popular."""
        of_category = max(self.items // CATEGORIES, 1)
        place = int(of_category * self.random.random() ** 2)
        return f"item-{(category + CATEGORIES * place) % self.items}"

    def catalogue(self) -> Iterator[ItemChanged]:
        """Every item; 4 % are out of stock, 2 % are for one country only."""
        for number in range(self.items):
            yield ItemChanged(
                item=f"item-{number}",
                title=f"Item {number}",
                category=f"category-{number % CATEGORIES}",
                brand=f"brand-{number % BRANDS}",
                price=300 + number * 37 % 20_000,
                currency="EUR",
                stock=0 if number % 25 == 24 else 50,
                countries=["US"] if number % 50 == 49 else [],
                changed_at=1,
            )

    def view(self, now: int) -> View:
        """A shopper with 200 events, of whom 12 are recent."""
        random = self.random
        likes = [random.randrange(CATEGORIES) for _ in range(4)]
        recent = [
            Interest(now - place * 60_000, random.choice((1, 1, 1, 2, 3)), self.item(likes[0]))
            for place in range(12)
        ]
        return View(
            clock=now,
            events=200,
            session=Session(now - 600_000, now, [self.item(likes[0]) for _ in range(6)]),
            recent=recent,
            cart=[self.item(likes[0]) for _ in range(2)],
            bought=[self.item(random.choice(likes)) for _ in range(15)],
            affinities={
                "category": [
                    (f"category-{like}", 9_000 - 1_000 * n) for n, like in enumerate(likes)
                ],
                "brand": [(f"brand-{random.randrange(BRANDS)}", 900 - n) for n in range(5)],
                "price_band": [(price_band(300 << n), 800 - n) for n in range(4)],
            },
            orders=5,
        )


async def publish_catalogue(settings: Settings, shop: Shop) -> None:
    """Every item into the topic `catalogue`."""
    topic = CATALOGUE.named(settings.namespace)
    async with bus.Producer.open(settings) as producer:
        for item in shop.catalogue():
            await producer.send(topic, encode(item), key=item_key(item.item).encode())
        await producer.flush()


def write_profiles(
    settings: Settings, shop: Shop, customers: int, shape: TopicShape, now: int
) -> None:
    """One view a customer, and one hash of 40 fields for the baseline; item statistics.

    shape: of the topic `events`, so that a profile service takes these for folded from it."""
    live = Generation("bench", shape.incarnation, shape.partitions)
    keys = Keys(settings.namespace, live.token)
    client: Any = Redis.from_url(settings.redis)
    try:
        client.hset(generation_pointer(settings.namespace), mapping=pointer_fields(live))
        for start in range(0, customers, PIPELINE):
            pipeline = client.pipeline(transaction=False)
            for number in range(start, min(start + PIPELINE, customers)):
                view = encode_view(shop.view(now))
                key = keys.profile(customer_key(f"customer-{number}"))
                pipeline.hset(key, mapping={"v": view, "t": str(now), "n": "1"})
                fields = {f"feature_{place}": str(number * place) for place in range(FIELDS)}
                pipeline.hset(KEY.format(customer=number), mapping=fields)
            pipeline.execute()
        for partition in range(settings.partitions):
            numbers = range(partition, shop.items, settings.partitions)
            counts = {
                f"item-{n}": f"{shop.random.randrange(99)},{shop.random.randrange(9)},1,0,0"
                for n in numbers
            }
            client.hset(keys.item_bucket(partition, HOUR), mapping=counts)
            client.zadd(keys.item_buckets(partition), {str(HOUR): HOUR})
            # there, so recommend reads the counts; empty, so profile counts from the start
            client.set(keys.item_position(partition), "")
    finally:
        client.close()


def write_requests(path: Path, shop: Shop, customers: int, key: str, count: int = 20_000) -> None:
    """Whole HTTP requests for offers, customers drawn at random."""
    requests = []
    for _ in range(count):
        country = shop.random.choice(COUNTRIES)
        customer = shop.random.randrange(customers)
        body = (
            f'{{"placement":"home","n":10,"customer":"customer-{customer}",'
            f'"context":{{"country":"{country}"}}}}'
        )
        requests.append(
            "POST /v1/recommend HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
            f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n{body}"
        )
    path.write_bytes(msgspec.json.encode(requests))


def write_baseline_requests(path: Path, shop: Shop, customers: int, count: int = 20_000) -> None:
    """Whole HTTP requests to the baseline."""
    drawn = (shop.random.randrange(customers) for _ in range(count))
    path.write_bytes(
        msgspec.json.encode(
            [f"GET /features/{customer} HTTP/1.1\r\nhost: bench\r\n\r\n" for customer in drawn]
        )
    )
