"""What `attune bench recommend` is compared with: bare FastAPI and redis-py, HGETALL of 40 fields.

Run as a process: `python -m services.commands.bench.baseline PORT REDIS_URL WORKERS`. Workers share
the port as those of `attune recommend` do.
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from socket import socket
from typing import Any, Final

import uvicorn
import uvloop
from fastapi import FastAPI
from redis.asyncio import Redis

from services.recommend.workers import bind_for, end, fork, stop_after, stop_without

FIELDS: Final = 40
KEY: Final = "bench:baseline:{customer}"


def create_app(redis_url: str) -> FastAPI:
    """One endpoint that returns a customer's hash."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.redis = Redis.from_url(redis_url, decode_responses=True)
        yield
        await app.state.redis.aclose()

    app = FastAPI(lifespan=lifespan)

    @app.get("/features/{customer}")
    async def features(customer: str) -> dict[str, Any]:
        found: dict[str, Any] = await app.state.redis.hgetall(KEY.format(customer=customer))
        return found

    return app


def main() -> None:
    """Serve on 127.0.0.1."""
    port, redis_url, workers = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    config = uvicorn.Config(create_app(redis_url), log_level="error", access_log=False)
    listeners = bind_for("127.0.0.1", port, workers)
    with listeners[0] as first:
        parent = os.getpid()

        async def serve(listener: socket, children: list[int], *, forked: bool) -> None:
            server = uvicorn.Server(config)

            def stop() -> None:
                server.should_exit = True

            waiting = stop_without(parent, stop) if forked else stop_after(children, stop)
            watcher = asyncio.create_task(waiting)
            await server.serve(sockets=[listener])
            watcher.cancel()

        children = fork(listeners, lambda own: uvloop.run(serve(own, [], forked=True)))
        try:
            uvloop.run(serve(first, children, forked=False))
        finally:
            end(children)


if __name__ == "__main__":
    main()
