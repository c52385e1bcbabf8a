"""Training from the archive: the same model as from the log, and no broker needed."""

import json
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from services.recommend.training.building import HistoryBuilder
from services.recommend.training.history import History
from services.recommend.training.rows import from_archive, from_log
from services.recommend.training.training_run import train_all
from shared.archive_table import ArchiveTable
from shared.bus import Producer, topic_id
from shared.errors import NotFound
from shared.events import AnyFact, ItemViewed, Line, Purchased, encode
from shared.settings import Settings
from shared.topics import EVENTS
from tests.fixtures.archives import logged

MINUTE_MS = 60_000


@pytest.fixture
async def settings(embedded_settings: Settings, tmp_path: Path) -> Settings:
    """A log with 120 visits and some orders, and the archive of it."""
    settings = replace(embedded_settings, archive=str(tmp_path / "archive"))
    name = EVENTS.named(settings.namespace)
    async with Producer.open(settings) as producer:
        for fact in visits(random.Random(3)):
            await producer.send(name, encode(fact), key=f"c:{fact.customer}".encode())
        await producer.flush()
    table = ArchiveTable.open(
        settings,
        EVENTS,
        incarnation=await topic_id(settings, name),
        partitions=settings.partitions,
    )
    for records in (await logged(settings, EVENTS)).values():
        for begin in range(0, len(records), 40):
            table.append(records[begin : begin + 40])
    return settings


def visits(dice: random.Random) -> list[AnyFact]:
    facts: list[AnyFact] = []
    for visit in range(120):
        customer, began = f"c{visit % 30}", visit * 40 * MINUTE_MS
        taste = dice.randrange(4)
        items = [f"i{taste * 10 + dice.randrange(10)}" for _ in range(dice.randrange(2, 7))]
        for step, item in enumerate(items):
            at = began + step * MINUTE_MS
            facts.append(
                ItemViewed(event_id=f"{visit}-{step}", customer=customer, occurred_at=at,
                           received_at=at, item=item)
            )  # fmt: skip
        if visit % 5 == 0:
            order, lines = f"o{visit}", [Line(item=item) for item in sorted(set(items))]
            facts.append(
                Purchased(event_id=order, customer=customer, occurred_at=began, received_at=began,
                          order=order, lines=lines, total=1, currency="EUR")
            )  # fmt: skip
    return facts


async def history_of(rows: Any) -> History:
    builder = HistoryBuilder()
    async for records in rows:
        builder.read(records)
    return builder.history()


async def test_the_archive_gives_the_same_model_as_the_log(settings: Settings) -> None:
    of_log = await history_of(from_log(settings))
    of_archive = await history_of(from_archive(settings))
    assert of_log.facts == len(visits(random.Random(3)))
    assert len(of_log.positions) > 1, "more than one partition"
    one, other = (train_all(found, None, 1, lambda _: None) for found in (of_archive, of_log))
    assert one.parts.keys() == other.parts.keys() >= {"sessions", "pairs"}
    assert (of_archive.items, one.metrics) == (of_log.items, other.metrics)
    assert len(one.parts["sessions"].arrays["rows"]) > 50
    for name, part in one.parts.items():
        for array, values in part.arrays.items():
            np.testing.assert_array_equal(values, other.parts[name].arrays[array])


async def test_without_an_archive_it_says_so(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="attune archive"):
        await history_of(from_archive(replace(settings, archive=str(tmp_path / "elsewhere"))))


async def test_the_command_needs_no_broker(settings: Settings, tmp_path: Path) -> None:
    variables = {
        "ATTUNE_ARCHIVE": settings.archive,
        "ATTUNE_NAMESPACE": settings.namespace,
        "ATTUNE_MODELS": str(tmp_path / "models"),
        "ATTUNE_BOOTSTRAP": "127.0.0.1:1",
    }
    ran = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-m", "services.cli", "train", "--source", "archive", "--json"],
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    report = json.loads(ran.stdout.splitlines()[-1])
    assert report["data"]["facts"] == len(visits(random.Random(3)))
    assert report["settings"]["source"] == "archive"
    assert (tmp_path / "models").is_dir()
