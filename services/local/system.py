"""A whole private system on free ports: log, store, database, keys and the four services.

Used by `attune local` on the embedded servers and by `attune bench freshness` on the best at hand.
All data lies in one folder; everything is stopped in the reverse order of its start.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from services.local.broker import DESCRIPTION, embedded_broker
from services.local.ports import HOST, free_ports, refused
from services.local.processes import Processes, attune
from services.local.servers import Servers, environment
from services.local.store import embedded_store
from shared.auth import ADMIN, CUSTOMERS, EVENTS, IDENTIFY, RECOMMEND, new_api_key
from shared.auth_store import KeyStore
from shared.clock import Clock, real_now_ms
from shared.database import Database
from shared.errors import InvalidInput, Unavailable
from shared.migrations import migrate
from shared.settings import Settings

SERVICES: Final = ("collector", "ingest", "profile", "recommend")
BULK: Final = "/v1/admin/items:bulk"
CATALOGUE_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Keys:
    """What callers of this system present; made anew for each run."""

    server: str = field(repr=False)
    browser: str = field(repr=False)
    admin: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class System:
    """The running system: its settings, addresses, keys and processes."""

    settings: Settings
    collector: str
    recommend: str
    ingest: str
    profile: str
    keys: Keys
    processes: Processes
    servers: Servers

    @property
    def endpoints(self) -> dict[str, str]:
        """What the report names: the services, all with `/health/ready` and `/metrics`, and what
        they stand on."""
        return {
            "collector": self.collector,
            "recommend": self.recommend,
            "ingest": self.ingest,
            "profile": self.profile,
            "kafka": self.settings.bootstrap,
            "redis": self.settings.redis,
        }

    async def load_catalogue(self, items: Sequence[Mapping[str, Any]]) -> None:
        """Puts items into the catalogue through the admin endpoint. Raises Unavailable."""
        headers = {
            "Authorization": f"Bearer {self.keys.admin}",
            "Content-Type": "application/json",
        }
        timeout = aiohttp.ClientTimeout(total=CATALOGUE_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(
                self.recommend + BULK, data=msgspec.json.encode(items), headers=headers
            ) as answer,
        ):
            content = await answer.read()
        if answer.status != 200:
            raise Unavailable(f"the catalogue was refused ({answer.status}): {content[:300]!r}")
        result = msgspec.json.decode(content)
        if result["accepted"] != len(items):
            raise Unavailable(f"the catalogue was refused in part: {result['errors'][:3]}")


@dataclass(frozen=True, slots=True)
class Ports:
    """Where the services listen; None: a free port."""

    collector: int | None = None
    recommend: int | None = None

    def check(self) -> None:
        """Raises InvalidInput when a wanted port is taken, before anything is started.

        A foreign service there might answer that it is ready, in the name of ours.
        """
        wanted = _fixed(self)
        if len(set(wanted.values())) < len(wanted):
            raise InvalidInput("--collector-port and --recommend-port: they must differ")
        for name, port in wanted.items():
            if reason := refused(port):
                raise InvalidInput(f"--{name}-port: cannot listen on {HOST}:{port}: {reason}")


@contextmanager
def embedded_servers(folder: Path, settings: Settings) -> Iterator[Servers]:
    """The embedded broker with all topics, and the bundled store: nothing to install.

    Blocks while they start; call it outside a running event loop. Raises Unavailable.
    """
    with (
        embedded_broker(settings) as broker,
        embedded_store(folder / "store") as store,
    ):
        adapted = replace(broker.adapt(settings), redis=store.url)
        yield Servers(adapted, DESCRIPTION, store.description, broker.pid, store.pid)


def private_settings(folder: Path, clock: Clock | None = None) -> Settings:
    """Settings of a system that shares nothing with the configured one."""
    return Settings(
        database=f"sqlite+aiosqlite:///{folder / 'attune.db'}",
        clock=clock or Clock(),
        models=str(folder / "models"),
        archive=str(folder / "archive"),
    )


@asynccontextmanager
async def running_system(
    folder: Path,
    servers: Servers,
    *,
    ports: Ports = Ports(),
    variables: Mapping[str, str] | None = None,
) -> AsyncIterator[System]:
    """Database, keys and the four services on running servers; ready when it is entered.

    `variables`: further ones for the services. Raises Unavailable, with the end of the log,
    when a service does not come up.
    """
    settings = servers.settings
    keys = await _make_keys(settings)
    free = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
    chosen = {**free, **_fixed(ports)}
    base = {name: f"http://{HOST}:{port}" for name, port in chosen.items()}
    everything = {
        **environment(settings),
        **{f"ATTUNE_{name.upper()}_PORT": str(port) for name, port in chosen.items()},
        "ATTUNE_PROFILE_RECOMMEND": base["recommend"],
        "ATTUNE_PROFILE_RECOMMEND_KEY": keys.server,
        **(variables or {}),
    }
    async with Processes.open(folder / "logs") as processes:
        await processes.start_all(*(attune(name, everything, base[name]) for name in SERVICES))
        yield System(settings, **base, keys=keys, processes=processes, servers=servers)


def _fixed(ports: Ports) -> dict[str, int]:
    wanted = {"collector": ports.collector, "recommend": ports.recommend}
    return {name: port for name, port in wanted.items() if port is not None}


async def _make_keys(settings: Settings) -> Keys:
    await migrate(settings)
    async with Database.open(settings) as database:
        store = KeyStore(database)
        presented = []
        for kind, scopes in (
            ("server", (EVENTS, IDENTIFY, RECOMMEND, CUSTOMERS)),
            ("browser", ()),
            ("server", (ADMIN, RECOMMEND)),
        ):
            secret, key = new_api_key(kind, scopes, "attune local")
            await store.add(key, real_now_ms())
            presented.append(secret)
    return Keys(*presented)
