"""A private system for `attune import --embedded`: broker, store, SQLite, ingest and profile.

The services run as processes of their own with nothing but addresses changed, in a folder that is
removed at the end; whatever ends the import ends them.
"""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from services.local.ports import HOST, free_ports
from services.local.processes import Processes, attune
from services.local.servers import Servers, environment
from services.local.system import embedded_servers, private_settings
from shared.settings import Settings

SERVICES: Final = ("ingest", "profile")
BYTES_A_PARTITION: Final = 3 * 1024 * 1024
"""Of the file; what it becomes is kept compressed, and the embedded broker keeps 5 MiB of it."""
MOST_PARTITIONS: Final = 256


@dataclass(frozen=True, slots=True)
class PrivateServers:
    """Running servers; `folder` holds their data and the logs of the services."""

    servers: Servers
    folder: Path

    @property
    def settings(self) -> Settings:
        """Addresses, as services and commands take them."""
        return self.servers.settings


@contextmanager
def private_servers(size: int) -> Iterator[PrivateServers]:
    """Broker and store for a file of `size` bytes, stopped and removed at the end.

    Blocks while they start; call it outside a running event loop. Raises Unavailable.
    """
    with TemporaryDirectory(prefix="attune-import-") as name:
        folder = Path(name)
        settings = private_settings(folder)
        partitions = min(MOST_PARTITIONS, max(settings.partitions, size // BYTES_A_PARTITION))
        with embedded_servers(folder, replace(settings, partitions=partitions)) as servers:
            yield PrivateServers(servers, folder)


@asynccontextmanager
async def running_services(
    private: PrivateServers, names: tuple[str, ...] = SERVICES
) -> AsyncIterator[dict[str, str]]:
    """The services as processes, ready when it is entered; yields the address of each.

    Raises Unavailable, with the end of its log, when one does not come up.
    """
    ports = dict(zip(names, free_ports(len(names)), strict=True))
    everything = environment(private.settings) | {
        f"ATTUNE_{name.upper()}_PORT": str(port) for name, port in ports.items()
    }
    bases = {name: f"http://{HOST}:{port}" for name, port in ports.items()}
    async with Processes.open(private.folder / "logs") as processes:
        await processes.start_all(*(attune(name, everything, bases[name]) for name in names))
        yield bases
