"""How far each file has been imported, in SQL: what makes a second import apply nothing.

Keyed by the file's digest (SHA-256 of its decompressed bytes) and the mapping with its digest. The
window in which profile knows event ids is a day long; the ledger knows for ever. A record is sent
before the ledger says so: an import that dies in between sends a few again, with the same event
ids, soon after, and profile knows those.
"""

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import select

from services.ingest.imports.mapping import Mapping
from shared.database import Database
from shared.tables import import_ledger

RUNNING: Final = "running"
DONE: Final = "done"


@dataclass(frozen=True, slots=True)
class Progress:
    """rows_done: every fact whose last row is at most this one is acknowledged by the log.

    facts_done: how many facts those are. byte_position: end of that row, decompressed.
    """

    rows_done: int = 0
    byte_position: int = 0
    facts_done: int = 0
    status: str = RUNNING
    started_at: int = 0


def mapping_key(name: str, mapping: Mapping) -> str:
    """The mapping's name with what it says: an edited mapping is another one."""
    return f"{name[:64]}@{mapping.digest[:32]}"


async def load(database: Database, digest: str, mapping: str) -> Progress | None:
    """The progress of this file through this mapping, None where it never began."""
    statement = select(import_ledger).where(
        import_ledger.c.digest == digest, import_ledger.c.mapping == mapping
    )
    async with database.reading() as connection:
        row = (await connection.execute(statement)).mappings().one_or_none()
    if row is None:
        return None
    return Progress(
        rows_done=row["rows_done"],
        byte_position=row["byte_position"],
        facts_done=int(row["counts"].get("facts_done", 0)),
        status=row["status"],
        started_at=row["started_at"],
    )


async def others(database: Database, digest: str, mapping: str) -> list[str]:
    """Names of the other mappings that the same file went through."""
    statement = (
        select(import_ledger.c.mapping)
        .where(import_ledger.c.digest == digest, import_ledger.c.mapping != mapping)
        .order_by(import_ledger.c.started_at)
    )
    async with database.reading() as connection:
        return list((await connection.execute(statement)).scalars())


async def save(
    database: Database,
    digest: str,
    mapping: str,
    progress: Progress,
    *,
    file_name: str,
    now: int,
) -> None:
    """Writes the progress, whole. now: real epoch ms. Raises DatabaseUnavailable."""
    counts: dict[str, Any] = {"facts_done": progress.facts_done}
    done = progress.status == DONE
    values = {
        "digest": digest,
        "mapping": mapping,
        "file_name": file_name[:1024],
        "status": progress.status,
        "rows_done": progress.rows_done,
        "byte_position": progress.byte_position,
        "counts": counts,
        "started_at": progress.started_at or now,
        "updated_at": now,
        "finished_at": now if done else None,
    }
    statement = database.upsert(import_ledger, keep=["started_at"]).values(**values)
    async with database.begin() as connection:
        await connection.execute(statement)
