"""The best servers at hand for a benchmark: Apache Kafka and the system's Redis, else embedded.

Each run gets its own, on free ports, with data in a folder of its own, and stops them at the end.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from services.local.apache import apache_kafka, find_apache
from services.local.broker import DESCRIPTION, embedded_broker
from services.local.store import embedded_store
from shared.bus import ensure_topics
from shared.settings import Settings


@dataclass(frozen=True, slots=True)
class Servers:
    """Running servers: how to reach them (`settings`), what they are, and their process ids."""

    settings: Settings
    broker: str
    store: str
    broker_pid: int
    store_pid: int


@contextmanager
def best_servers(directory: Path, settings: Settings) -> Iterator[Servers]:
    """Starts a broker and a store with every topic of `settings.namespace`, and stops them.

    Blocks for some seconds; call it outside a running event loop. Raises Unavailable.
    """
    with ExitStack() as stack:
        store = stack.enter_context(embedded_store(directory / "store", prefer="system"))
        settings = replace(settings, redis=store.url)
        if find_apache() is not None:
            kafka = stack.enter_context(apache_kafka(directory / "kafka"))
            settings = replace(settings, bootstrap=kafka.bootstrap)
            asyncio.run(ensure_topics(settings))
            name, pid = kafka.description, kafka.pid
        else:
            broker = stack.enter_context(embedded_broker(settings))
            settings = broker.adapt(settings)
            name, pid = DESCRIPTION, broker.pid
        yield Servers(settings, name, store.description, pid, store.pid)


def environment(settings: Settings) -> dict[str, str]:
    """The settings as `ATTUNE_*`, for a service's process."""
    values = {name: getattr(settings, name) for name in settings.__dataclass_fields__}
    return {f"ATTUNE_{name.upper()}": _text(value) for name, value in values.items()}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
