"""What the suites of several stores share: a Redis server, then a cluster."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from shared.settings import Settings
from shared.store import open_redis
from tests.fixtures.redis_cluster import RedisCluster


@pytest.fixture(params=["server", "cluster"])
def store_settings(request: pytest.FixtureRequest) -> Settings:
    if request.param == "cluster":
        cluster: RedisCluster = request.getfixturevalue("redis_cluster")
        return cluster.settings()
    return Settings(redis=request.getfixturevalue("redis_url"))


@pytest.fixture
async def redis(store_settings: Settings) -> AsyncIterator[Redis]:
    async with open_redis(store_settings) as client:
        yield client
