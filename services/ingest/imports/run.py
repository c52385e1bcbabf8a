"""One import from the file to the balance: the shell around mapping, orders, raw and sending.

`prepare` reads the file through and changes nothing; `perform` sends what the ledger does not know
yet; `account` waits until it has become facts and counts what became of it, from the logs.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from services.ingest.imports import ledger, raw
from services.ingest.imports.items import SeenItems
from services.ingest.imports.ledger import DONE, Progress
from services.ingest.imports.mapping import Mapping
from services.ingest.imports.orders import Tally, assemble
from services.ingest.imports.records import Export, open_file, read_rows
from services.ingest.imports.sending import Sent, send_all
from services.profile.verify.balance import Balance
from services.profile.verify.check import read_log, wait_until_drained
from services.recommend.catalogue.repository import CatalogueRepository
from shared.bus import Producer
from shared.catalogue import item_key
from shared.clock import real_now_ms
from shared.database import Database
from shared.errors import InvalidInput
from shared.headers import Headers
from shared.migrations import migrate
from shared.settings import Settings

CATALOGUE_BATCH = 500
Moved = Callable[[int], object]
"""Told the byte of the decompressed file that the import has got to."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to import, and how. again: although another mapping took the file before."""

    export: Export
    name: str
    mapping: Mapping
    limit: int | None = None
    again: bool = False


@dataclass(slots=True)
class Done:
    """What was read and sent. items: how many the catalogue did not know before."""

    tally: Tally
    sent: Sent
    items: int = 0


@dataclass(slots=True)
class Account:
    """What became of the facts: those that the ledger held back count as deduplicated."""

    applied: int = 0
    deduplicated: int = 0
    pending: int = 0
    dead_lettered: dict[str, int] = field(default_factory=dict)
    balanced: bool = True


def prepare(
    path: Path, name: str, mapping: Mapping, *, limit: int | None = None, again: bool = False
) -> Plan:
    """Checks file and columns before anything is started or sent. Raises InvalidInput."""
    export = open_file(path, mapping)
    next(read_rows(export, mapping), None)
    return Plan(export, name, mapping, limit, again)


async def perform(plan: Plan, settings: Settings, moved: Moved = lambda _byte: None) -> Done:
    """Sends what is not sent yet. Raises InvalidInput, LogUnavailable, DatabaseUnavailable.

    A second import of the same file waits for the first to end.
    """
    await migrate(settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.open(settings))
        await stack.enter_async_context(database.lock(f"import-{plan.export.digest[:16]}"))
        key = ledger.mapping_key(plan.name, plan.mapping)
        progress = await _begin(plan, database, key)
        producer = await stack.enter_async_context(Producer.open(settings))
        tally, seen = Tally(), SeenItems(plan.mapping.currency)

        async def save(reached: Progress) -> None:
            await ledger.save(
                database,
                plan.export.digest,
                key,
                reached,
                file_name=plan.export.path.name,
                now=real_now_ms(),
            )
            moved(reached.byte_position)

        sent = await send_all(
            _records(plan, settings, tally, seen),
            producer,
            settings.namespace,
            lambda: _headers(plan, settings),
            progress,
            save,
        )
        items = 0
        if plan.mapping.catalogue and progress.status != DONE:
            items = await _make_known(database, seen, settings.clock.now_ms())
        if plan.limit is None or tally.rows < plan.limit:
            await save(replace(sent.progress, status=DONE, byte_position=plan.export.size))
        return Done(tally, sent, items)


async def account(done: Done, settings: Settings, wait_s: float) -> Account:
    """Waits until ingest and profile have read what was sent, then counts it in the logs."""
    found = Account(deduplicated=done.sent.skipped)
    sources = done.sent.sources
    if not sources:
        return found
    deadline = asyncio.get_running_loop().time() + wait_s
    await wait_until_drained(settings, wait_s)
    while True:
        accounts = (await read_log(settings)).accounts
        balance: Balance = accounts.balance(sources)
        if balance.balanced or asyncio.get_running_loop().time() >= deadline:
            break
        await asyncio.sleep(1)
    found.applied = balance.applied
    found.deduplicated += balance.deduplicated
    found.pending = len(sources) - balance.received + balance.pending
    found.dead_lettered = accounts.dead_by_reason(sources)
    found.balanced = balance.balanced and balance.received == len(sources)
    return found


async def _begin(plan: Plan, database: Database, key: str) -> Progress:
    """Where to go on. Raises InvalidInput where it would count the file's facts twice."""
    progress = await ledger.load(database, plan.export.digest, key)
    if progress is not None:
        return progress
    others = await ledger.others(database, plan.export.digest, key)
    if others and not plan.again:
        raise InvalidInput(
            f"{plan.export.path}: imported before through {', '.join(others)}; another mapping may "
            "count its facts twice: pass --again to import it all the same"
        )
    return Progress(started_at=real_now_ms())


def _records(
    plan: Plan, settings: Settings, tally: Tally, seen: SeenItems
) -> Iterator[raw.RawRecord]:
    rows = read_rows(plan.export, plan.mapping)
    if plan.mapping.records == "segment":
        return raw.passed_through(rows, tally, plan.limit, settings.clock.now_ms())
    entries = assemble(rows, plan.mapping, tally, plan.limit, seen.notice)
    return raw.mapped(entries, plan.export.digest, tally)


def _headers(plan: Plan, settings: Settings) -> Headers:
    form = "segment" if plan.mapping.records == "segment" else "native"
    received_at = settings.clock.now_ms()
    return raw.headers(form, plan.name, received_at=received_at, at=real_now_ms())


async def _make_known(database: Database, seen: SeenItems, now: int) -> int:
    """Puts new items into the catalogue; those the shop administers stay as they are."""
    repository = CatalogueRepository(database)
    there = await repository.changed_at()
    known = frozenset(item for item in seen.ids() if item_key(item) in there)
    changes = seen.changes(known, now)
    for start in range(0, len(changes), CATALOGUE_BATCH):
        await repository.put(changes[start : start + CATALOGUE_BATCH])
    return len(changes)
