"""What `attune bench recommend` is compared with: bare FastAPI and redis-py, HGETALL of 40 fields.

Run as a process: `python -m services.commands.bench.baseline PORT REDIS_URL`.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from redis.asyncio import Redis

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
    port, redis_url = int(sys.argv[1]), sys.argv[2]
    uvicorn.run(
        create_app(redis_url), host="127.0.0.1", port=port, log_level="error", access_log=False
    )


if __name__ == "__main__":
    main()
