"""Liveness, readiness and metrics of a process: routes for any app, and a server for consumers.

Collector and recommend mount `routes(...)` in their own app; ingest and profile, which have none,
run `health_server(...)` in their event loop.
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeAlias

import msgspec
import uvicorn
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from shared.errors import SettingsError, Unavailable

Check: TypeAlias = Callable[[], Awaitable[object]]
"""Looks at one real dependency; raises when it is not usable."""


class Remark(str):
    """What a check that passes has to say all the same, such as that an older version is in force.

    It is shown to whoever asks, so it names no address and nothing personal.
    """

    __slots__ = ()


CHECK_S: Final = 2.0
START_S: Final = 10.0
STOP_S: Final = 5.0


def routes(checks: Mapping[str, Check], *, registry: CollectorRegistry = REGISTRY) -> list[Route]:
    """`/health/live`, `/health/ready` and `/metrics`.

    Ready answers 200 when every check passes within 2 s, else 503, and names each check's outcome:
    `{"status": "ready" or "not_ready", "checks": {"log": "ok", "store": "LogUnavailable"}}`. The
    outcome is an error's type, since its text may name addresses.
    """

    async def live(_: Request) -> Response:
        return _json({"status": "live"})

    async def ready(_: Request) -> Response:
        names = list(checks)
        outcomes = await asyncio.gather(*(_outcome(checks[name]) for name in names))
        good = all(outcome.partition(":")[0] == "ok" for outcome in outcomes)
        return _json(
            {
                "status": "ready" if good else "not_ready",
                "checks": dict(zip(names, outcomes, strict=True)),
            },
            200 if good else 503,
        )

    async def metrics(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return [
        Route("/health/live", live),
        Route("/health/ready", ready),
        Route("/metrics", metrics),
    ]


async def starting() -> None:
    """The check of a dependency that is not connected yet."""
    raise Unavailable("not connected yet")


async def _outcome(check: Check) -> str:
    try:
        async with asyncio.timeout(CHECK_S):
            found = await check()
    except TimeoutError:
        return "timeout"
    except Exception as error:  # whatever a dependency raises, it is not ready
        return type(error).__name__
    return f"ok: {found}" if isinstance(found, Remark) else "ok"


def _json(body: object, status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, media_type="application/json")


class _Server(uvicorn.Server):
    """uvicorn inside somebody else's loop: signals belong to the service's own main."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def health_server(
    checks: Mapping[str, Check],
    *,
    port: int,
    host: str = "127.0.0.1",
    registry: CollectorRegistry = REGISTRY,
) -> AsyncIterator[int]:
    """Serves `routes` while the context is open; yields the port (asked as 0: a free one).

    Raises SettingsError, naming the address, when it cannot listen there.
    """
    config = uvicorn.Config(
        Starlette(routes=routes(checks, registry=registry)),
        host=host,
        port=port,
        lifespan="off",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    listening = bind(host, port)
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        async with asyncio.timeout(START_S):
            while not (server.started or task.done()):  # noqa: ASYNC110  (uvicorn sets a flag only)
                await asyncio.sleep(0.01)
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        async with asyncio.timeout(STOP_S):
            await task
        listening.close()


def bind(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket bound to the address, with others that are shared where it is. Raises SettingsError,
    naming it, when it is taken."""
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        why = error.strerror or type(error).__name__
        raise SettingsError(f"cannot listen on {host}:{port}: {why}") from None
    return listening
