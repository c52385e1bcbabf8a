"""`attune train`: reads all of `events`, builds the snapshot, measures it, puts it in force."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import click
from tqdm import tqdm

from services.commands.output import Report, json_option
from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.learning import Learned
from services.recommend.models.folder import ModelFolder
from services.recommend.models.snapshot import Metadata, take
from services.recommend.training.build import build_index
from services.recommend.training.log import Lessons
from services.recommend.training.rows import from_archive, from_log
from services.recommend.training.session_settings import K, choose_settings
from shared.clock import real_now_ms
from shared.settings import Settings

NAME: Final = "sessions"
CAPACITY: Final = 200_000
FEWEST_SESSIONS: Final = 50
"""Below that nothing is held out: default settings, no metrics."""


@click.command()
@click.option("--promote/--no-promote", default=True, help="Put the new version in force.")
@click.option(
    "--settings-from-data/--default-settings",
    default=True,
    help="Choose the session settings on the latest sessions.",
)
@click.option(
    "--source",
    type=click.Choice(["log", "archive"]),
    default="log",
    show_default=True,
    help="Read facts from the log, or from its archive (ATTUNE_ARCHIVE).",
)
@json_option
def command(promote: bool, settings_from_data: bool, source: str, as_json: bool) -> None:
    """Train the models that offers are ranked with.

    Reads all facts from the beginning, builds session neighbours and basket pairs, measures them
    on the latest sessions and writes a version to the model store (ATTUNE_MODELS). A running
    recommend takes it up within seconds, without a failed request.
    """
    settings = Settings.from_environment()
    place = "archive" if source == "archive" else "bootstrap"
    shown = {
        "source": source,
        place: getattr(settings, place),
        "models": settings.models,
        "promote": promote,
    }
    with Report("train", as_json=as_json, settings=shown) as report:
        lessons = asyncio.run(_read(settings, source))
        metadata = train(lessons, real_now_ms(), choose=settings_from_data)
        folder = ModelFolder(Path(settings.models))
        learned = whole(lessons)
        folder.save(take(learned), metadata)
        if promote:
            folder.promote(metadata.version)
        report.add(
            version=metadata.version,
            promoted=promote,
            data=metadata.data,
            neighbours=metadata.neighbours,
            metrics=metadata.metrics,
        )


async def _read(settings: Settings, source: str) -> Lessons:
    lessons = Lessons()
    rows = from_archive if source == "archive" else from_log
    with tqdm(desc="reading events", unit=" facts", unit_scale=True) as progress:
        async for records in rows(settings):
            lessons.read(records)
            progress.update(len(records))
    return lessons


def whole(lessons: Lessons) -> Learned:
    """What is learned of all sessions and orders."""
    sessions = [session.items for session in lessons.ended()]
    return Learned(lessons.numbers, build_index(sessions, CAPACITY), lessons.pairs)


def train(lessons: Lessons, real_ms: int, *, choose: bool) -> Metadata:
    """Choose and measure settings on the latest sessions, which the index for that leaves out.

    The version's name is the time of training (`real_ms`), so names ascend.
    """
    trained_at = datetime.fromtimestamp(real_ms / 1_000, UTC)
    sessions = lessons.ended()
    chosen = NeighbourSettings()
    metrics: dict[str, Any] = {}
    if choose and len(sessions) >= FEWEST_SESSIONS:
        chosen, metrics = _measure([session.items for session in sessions])
    return Metadata(
        name=NAME,
        version=trained_at.strftime("%Y%m%dT%H%M%S") + f"{real_ms % 1_000:03d}",
        trained_at=trained_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        data={
            "facts": lessons.facts,
            "sessions": len(sessions),
            "orders": lessons.orders,
            "items": len(lessons.numbers) - 1,
            "from": lessons.first,
            "to": lessons.last,
        },
        positions={str(key): value for key, value in sorted(lessons.positions.items())},
        neighbours=asdict(chosen),
        metrics=metrics,
    )


def _measure(sessions: list[list[int]]) -> tuple[NeighbourSettings, dict[str, Any]]:
    with tqdm(desc="choosing settings", unit=" settings") as progress:
        chosen, predictions = choose_settings(sessions, 1, partial(_advance, progress))
    return chosen.settings, {"mrr": round(chosen.mrr, 5), "k": K, "predictions": predictions}


def _advance(progress: "tqdm[Any]", steps: int) -> None:
    progress.update(steps)
