"""Alembic's entry: runs the revisions on the connection that `shared.migrations` hands over."""

from alembic import context
from sqlalchemy import Connection

from shared.tables import metadata

connection: Connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
)
with context.begin_transaction():
    context.run_migrations()
