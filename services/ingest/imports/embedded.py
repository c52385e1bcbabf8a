"""A private system for `attune import --embedded`: broker, store, SQLite, ingest and profile.

The services run as processes of their own with nothing but addresses changed, in a folder that is
removed at the end; whatever ends the import ends them.
"""

import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from services.local.broker import DESCRIPTION, embedded_broker
from services.local.guard import Guarded
from services.local.ports import HOST, free_ports
from services.local.store import embedded_store
from shared.settings import Settings

READY_S: Final = 60.0
BYTES_A_PARTITION: Final = 3 * 1024 * 1024
"""Of the file; what it becomes is kept compressed, and the embedded broker keeps 5 MiB of it."""
MOST_PARTITIONS: Final = 256


@dataclass(frozen=True, slots=True)
class PrivateSystem:
    """settings: its addresses, as services and commands take them."""

    settings: Settings
    broker: str
    store: str


@contextmanager
def private_system(settings: Settings, size: int) -> Iterator[PrivateSystem]:
    """Starts everything for a file of `size` bytes and stops it again. Raises Unavailable."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="attune-import-")))
        partitions = min(MOST_PARTITIONS, max(settings.partitions, size // BYTES_A_PARTITION))
        own = replace(
            settings,
            namespace="",
            partitions=partitions,
            database=f"sqlite+aiosqlite:///{folder / 'attune.db'}",
        )
        broker = stack.enter_context(embedded_broker(own))
        store = stack.enter_context(embedded_store(folder / "store"))
        own = replace(broker.adapt(own), redis=store.url)
        for name, port in zip(("ingest", "profile"), free_ports(2), strict=True):
            process = start_service(name, environment_of(own), folder, port)
            stack.callback(process.stop)
            process.await_ready(lambda port=port: is_ready(port), READY_S, name)  # type: ignore[misc]
        yield PrivateSystem(own, DESCRIPTION, store.description)


def start_service(name: str, environment: Mapping[str, str], folder: Path, port: int) -> Guarded:
    """`attune <name>` as a process, its output in `folder`; returns before it is ready."""
    return Guarded.start(
        [sys.executable, "-P", "-m", "services.cli", name],
        log=folder / f"{name}.log",
        environment={**environment, f"ATTUNE_{name.upper()}_PORT": str(port)},
    )


def environment_of(settings: Settings) -> dict[str, str]:
    """The environment from which a service reads these settings."""
    return {
        f"ATTUNE_{entry.name.upper()}": str(getattr(settings, entry.name))
        for entry in fields(settings)
    }


def is_ready(port: int) -> bool:
    """Whether the service on this port finds all that it depends on."""
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/health/ready", timeout=2) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
