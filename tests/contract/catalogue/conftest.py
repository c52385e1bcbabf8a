"""A migrated, empty database of each kind."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.recommend.catalogue.repository import CatalogueRepository
from shared.database import Database
from shared.migrations import migrate
from shared.settings import Settings


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def database_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "sqlite":
        return Settings(database=f"sqlite:///{tmp_path / 'attune.db'}")
    return Settings(database=request.getfixturevalue("postgres_url"))


@pytest.fixture
async def repository(database_settings: Settings) -> AsyncIterator[CatalogueRepository]:
    await migrate(database_settings)
    async with Database.open(database_settings) as database:
        yield CatalogueRepository(database)
