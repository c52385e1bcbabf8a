"""The embedded broker carries the largest import there is, without losing its beginning."""

import random
import string

from services.local.broker import EmbeddedBroker
from shared import bus, topics
from shared.settings import Settings

ORDERS = 26_000
LINES_A_ORDER = 21
LARGEST_ORDER = 1_114


def order(number: int, lines: int, draw: random.Random) -> bytes:
    """JSON of an order, of about 90 bytes a line that compress no better than real ones."""
    parts = [
        b'{"item":"%d","name":"%s","quantity":%d,"unit_price":%d}'
        % (
            draw.randrange(10_000, 90_000),
            "".join(draw.choices(string.ascii_uppercase, k=27)).encode(),
            draw.randrange(1, 100),
            draw.randrange(10, 9_999),
        )
        for _ in range(lines)
    ]
    return b'{"type":"purchased","order_id":"%d","lines":[%s]}' % (number, b",".join(parts))


async def test_a_year_of_orders_stays_whole_in_both_topics(base_settings: Settings) -> None:
    draw = random.Random(7)
    settings = Settings(namespace=base_settings.namespace)
    orders = [order(number, LINES_A_ORDER, draw) for number in range(2_000)]
    largest = order(0, LARGEST_ORDER, draw)
    broker = EmbeddedBroker.start()
    try:
        broker.create_all(settings)
        settings = broker.adapt(settings)
        for topic in (topics.PURCHASES, topics.EVENTS):
            name = topic.named(settings.namespace)
            async with bus.Producer.open(settings) as producer:
                for number in range(ORDERS):
                    key = b"%d" % (number % 4_372)
                    await producer.send(name, orders[number % len(orders)], key=key)
                await producer.send(name, largest, key=b"0")
                await producer.flush()
            found = size = 0
            async for records in bus.scan(settings, name):
                found += len(records)
                size += sum(len(record.value or b"") for record in records)
            assert found == ORDERS + 1
            assert size > 40_000_000
    finally:
        broker.stop()
