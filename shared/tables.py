"""Every SQL table: what people administer, and how far each import got.

Repository modules read and write them through `shared.database`; `shared.migrations` creates them.
Times are epoch milliseconds, money is integer minor units of `currency`. Nothing about a customer
is kept here: profiles live in Redis, facts in the log.
"""

from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

metadata: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id(name: str, length: int = 128) -> Column[str]:
    return Column(name, String(length), primary_key=True)


def _time(name: str, *, nullable: bool = False) -> Column[int]:
    """Epoch milliseconds."""
    return Column(name, BigInteger, nullable=nullable)


def _json(name: str) -> Column[Any]:
    return Column(name, JSON, nullable=False)


items: Final = Table(
    "items",
    metadata,
    _id("item"),
    Column("title", String(256), nullable=False),
    Column("category", String(256)),
    Column("brand", String(256)),
    Column("price", BigInteger),
    Column("currency", String(3)),
    Column("stock", BigInteger),
    Column("active", Boolean, nullable=False),
    Column("recommendable", Boolean, nullable=False),
    Column("repeatable", Boolean, nullable=False),
    _time("valid_from", nullable=True),
    _time("valid_to", nullable=True),
    _json("countries"),
    _json("fields"),
    _time("changed_at"),
)
"""What the shop sells. Columns are those of `shared.catalogue.ItemChanged`."""

offers: Final = Table(
    "offers",
    metadata,
    _id("offer"),
    Column("title", String(256), nullable=False),
    _json("items"),
    Column("percent_off", Integer, nullable=False),
    Column("active", Boolean, nullable=False),
    _time("valid_from", nullable=True),
    _time("valid_to", nullable=True),
    _time("changed_at"),
)
"""Promotions. Columns are those of `shared.catalogue.OfferChanged`."""

placements: Final = Table(
    "placements",
    metadata,
    _id("placement"),
    Column("objective", String(16), nullable=False),
    Column("n", Integer, nullable=False),
    Column("surprise", Float),
    Column("explore_share", Float),
    Column("cap", JSON(none_as_null=True)),
    Column("only_categories", JSON, nullable=False, server_default="[]"),
    Column("never_categories", JSON, nullable=False, server_default="[]"),
    Column("most_of_category", Integer),
    _time("changed_at"),
)
"""Where a storefront shows offers. Columns are those of `shared.catalogue.PlacementChanged`."""

catalogue_outbox: Final = Table(
    "catalogue_outbox",
    metadata,
    _id("key", 160),
    Column("revision", BigInteger, nullable=False),
)
"""Catalogue keys whose present state has still to be published to the topic `catalogue`.

A row is written in the transaction of the change; the publisher deletes it, if its revision is
still the one it read, once the log has acknowledged.
"""

api_keys: Final = Table(
    "api_keys",
    metadata,
    _id("id", 64),
    Column("name", String(256), nullable=False),
    Column("kind", String(16), nullable=False),
    _json("scopes"),
    Column("secret_hash", String(256), nullable=False),
    _time("created_at"),
    _time("revoked_at", nullable=True),
)
"""Keys of servers and browsers. kind: server or browser; only a hash of the secret is kept."""

token_keys: Final = Table(
    "token_keys",
    metadata,
    _id("kid"),
    Column("algorithm", String(16), nullable=False),
    Column("key", Text, nullable=False),
    _time("created_at"),
    _time("revoked_at", nullable=True),
)
"""What identity tokens are verified with. key: a public key (EdDSA) or a shared secret (HS256)."""

import_ledger: Final = Table(
    "import_ledger",
    metadata,
    _id("digest", 64),
    _id("mapping", 128),
    Column("file_name", String(1024), nullable=False),
    Column("status", String(16), nullable=False),
    Column("rows_done", BigInteger, nullable=False),
    Column("byte_position", BigInteger, nullable=False),
    _json("counts"),
    _time("started_at"),
    _time("updated_at"),
    _time("finished_at", nullable=True),
)
"""How far each file has been imported through each mapping; digest: SHA-256 of its bytes, in hex.

status: running or done. rows_done and byte_position: up to where every fact is acknowledged by
the log. counts: what the command reports so far, so that a resumed import reports the whole.
"""
