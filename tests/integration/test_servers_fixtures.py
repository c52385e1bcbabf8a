"""The fixtures' own servers: an empty database of PostgreSQL for each test."""

import asyncpg
import pytest


@pytest.mark.postgres
@pytest.mark.parametrize("turn", [1, 2])
async def test_each_test_has_an_empty_database(postgres_url: str, turn: int) -> None:
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    try:
        await connection.execute("CREATE TABLE only_here (turn integer)")
        await connection.execute("INSERT INTO only_here VALUES ($1)", turn)
        assert await connection.fetchval("SELECT turn FROM only_here") == turn
    finally:
        await connection.close()
