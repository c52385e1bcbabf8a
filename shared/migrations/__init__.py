"""The schema's history. Every service that uses SQL calls `migrate` before it opens its database.

The revisions lie inside the package, so an installed distribution finds them as a checkout does.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection

from shared.database import Database
from shared.settings import Settings


async def migrate(settings: Settings) -> None:
    """Bring the database to the newest revision; does nothing where it already is.

    Safe when several processes start at once: one migrates, the others wait for it. All of it is
    one transaction, so a failure leaves the schema as it was. Raises DatabaseUnavailable,
    SettingsError.
    """
    async with (
        Database.open(settings) as database,
        database.lock("migrate"),
        database.begin() as connection,
    ):
        await connection.run_sync(_upgrade)


def configuration(connection: Connection) -> Config:
    """What Alembic's commands need, bound to an open connection."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _upgrade(connection: Connection) -> None:
    command.upgrade(configuration(connection), "head")
