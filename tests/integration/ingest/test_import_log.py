"""An import against a real log and a real database: cut off, asked for twice, at the same time."""

import asyncio
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from services.ingest.imports.mapping import load, parse
from services.ingest.imports.run import Plan, perform, prepare
from services.ingest.imports.sending import BATCH
from services.recommend.catalogue.kinds import ITEMS
from services.recommend.catalogue.repository import CatalogueRepository
from shared.bus import scan
from shared.catalogue import ItemChanged
from shared.database import Database
from shared.errors import InvalidInput
from shared.migrations import migrate
from shared.settings import Settings
from shared.topics import PURCHASES
from tests.fixtures.retail import retail_csv

INVOICES = 3 * BATCH + 100


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "retail.csv"
    path.write_text(retail_csv(INVOICES))
    return path


def plan_of(path: Path, *, limit: int | None = None, again: bool = False) -> Plan:
    name, mapping = load("uci-online-retail")
    return prepare(path, name, mapping, limit=limit, again=again)


async def raw_ids(settings: Settings) -> Counter[str]:
    """Event ids in `purchases`, with how often each is there."""
    ids: Counter[str] = Counter()
    async for records in scan(settings, PURCHASES.named(settings.namespace)):
        ids.update(json.loads(record.value or b"{}")["event_id"] for record in records)
    return ids


class CutOffError(Exception):
    """What ends an import in the middle."""


async def test_an_import_that_was_cut_off_goes_on(
    embedded_settings: Settings, export: Path
) -> None:
    plan = plan_of(export)

    def cut_off(_byte: int) -> None:
        raise CutOffError

    for batch in (1, 2):
        with pytest.raises(CutOffError):
            await perform(plan, embedded_settings, cut_off)
        assert len(await raw_ids(embedded_settings)) == batch * BATCH
    done = await perform(plan, embedded_settings)
    assert (done.sent.skipped, len(done.sent.sources)) == (2 * BATCH, BATCH + 100)
    ids = await raw_ids(embedded_settings)
    assert (len(ids), set(ids.values())) == (INVOICES, {1})
    assert done.tally.rows == 3 * INVOICES
    assert done.tally.excluded == {"not_a_product": INVOICES}


async def test_a_second_import_sends_nothing(embedded_settings: Settings, export: Path) -> None:
    first = await perform(plan_of(export), embedded_settings)
    before = await raw_ids(embedded_settings)
    second = await perform(plan_of(export), embedded_settings)
    assert (second.sent.skipped, second.sent.sources, second.items) == (INVOICES, set(), 0)
    assert second.tally == first.tally
    assert await raw_ids(embedded_settings) == before


async def test_two_at_the_same_time_are_one_import(
    embedded_settings: Settings, export: Path
) -> None:
    done = await asyncio.gather(
        perform(plan_of(export), embedded_settings), perform(plan_of(export), embedded_settings)
    )
    assert sorted(entry.sent.skipped for entry in done) == [0, INVOICES]
    assert set((await raw_ids(embedded_settings)).values()) == {1}


async def test_a_limited_import_is_gone_on_with(embedded_settings: Settings, export: Path) -> None:
    part = await perform(plan_of(export, limit=1000), embedded_settings)
    assert part.tally.rows == 1000
    assert part.tally.excluded == {"not_a_product": 333, "cut_by_limit": 1}
    rest = await perform(plan_of(export), embedded_settings)
    assert rest.sent.skipped == len(part.sent.sources) == 333
    ids = await raw_ids(embedded_settings)
    assert (len(ids), set(ids.values())) == (INVOICES, {1})


async def test_another_mapping_of_the_same_file_has_to_be_meant(
    embedded_settings: Settings, export: Path
) -> None:
    await perform(plan_of(export, limit=10), embedded_settings)
    text = "format: csv\ncurrency: GBP\ncolumns:\n" + "".join(
        f"  {field}: {{column: {column}{rest}}}\n"
        for field, column, rest in (
            ("item", "StockCode", ""),
            ("anonymous", "InvoiceNo", ""),
            ("occurred_at", "InvoiceDate", ", type: time"),
        )
    )
    mapping = parse((text + "facts: [{type: item_viewed}]").encode(), "views")
    with pytest.raises(InvalidInput, match=r"through uci-online-retail@\w+; .*pass --again"):
        await perform(prepare(export, "views", mapping), embedded_settings)
    done = await perform(prepare(export, "views", mapping, again=True), embedded_settings)
    assert done.tally.facts == {"item_viewed": 3 * INVOICES}


async def test_items_become_known_and_the_shop_s_own_stay(
    embedded_settings: Settings, export: Path
) -> None:
    await migrate(embedded_settings)
    async with Database.open(embedded_settings) as database:
        repository = CatalogueRepository(database)
        await repository.put([ItemChanged(item="20001", title="The shop's own", changed_at=1)])
        done = await perform(plan_of(export), embedded_settings)
        assert done.items == await repository.count(ITEMS) - 1
        own = await repository.get(ITEMS, "20001")
        made = await repository.get(ITEMS, "20000")
    assert isinstance(own, ItemChanged)
    assert own.title == "The shop's own"
    assert isinstance(made, ItemChanged)
    assert (made.title, made.price, made.currency) == ("ITEM 20000", 255, "GBP")


@pytest.mark.postgres
async def test_the_ledger_on_postgresql(
    embedded_settings: Settings, postgres_url: str, export: Path
) -> None:
    settings = replace(embedded_settings, database=postgres_url)
    await perform(plan_of(export, limit=600), settings)
    second = await perform(plan_of(export, limit=600), settings)
    assert (second.sent.skipped, len(second.sent.sources)) == (200, 0)
