"""`attune train`: reads facts, trains every model, measures, writes a version, promotes it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
from tqdm import tqdm

from services.commands.output import Report, json_option
from services.ingest.imports.mapping import shipped
from services.recommend.training.building import HistoryBuilder
from services.recommend.training.catalogue import read_catalogue
from services.recommend.training.file import prepared, read_file
from services.recommend.training.history import History
from services.recommend.training.priority import step_back
from services.recommend.training.rows import decisions_from, from_archive, from_log
from services.recommend.training.training_run import Trained, train_all
from shared.clock import real_now_ms
from shared.errors import InvalidInput, NotFound
from shared.models.metadata import Metadata
from shared.models.store import ModelStore, Version
from shared.settings import Settings

NICE: Final = 10


@click.command()
@click.option(
    "--promote/--no-promote",
    default=True,
    help="Put the new version in force, unless it does worse.",
)
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
@click.option(
    "--orders",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Read an export instead, as `attune import` does; needs --mapping.",
)
@click.option(
    "--mapping",
    metavar="NAME_OR_FILE",
    help=f"How the export's rows become facts: a YAML file, or one of: {', '.join(shipped())}.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of everything drawn.")
@click.option(
    "--nice",
    default=NICE,
    show_default=True,
    type=click.IntRange(0, 19),
    help="How far to step back behind other processes.",
)
@json_option
def command(
    promote: bool,
    settings_from_data: bool,
    source: str,
    orders: Path | None,
    mapping: str | None,
    seed: int,
    nice: int,
    as_json: bool,
) -> None:
    """Train the models that offers are ranked with.

    Reads all facts from the beginning, trains what there is data for, measures it on the newest
    tenth and writes a version to the model store (ATTUNE_MODELS). It is promoted unless it does
    worse there than popularity or than the version in force; a running recommend takes it up
    within seconds, without a failed request.
    """
    settings = Settings.from_environment()
    if (orders is None) != (mapping is None):
        raise InvalidInput("--orders and --mapping go together")
    shown = _origin(settings, source, orders, mapping) | {
        "promote": promote, "models": settings.models, "nice": nice,
        "settings_from_data": settings_from_data,
    }  # fmt: skip
    with Report("train", as_json=as_json, seed=seed, settings=shown) as report:
        step_back(nice)
        store = ModelStore.open(settings.models)
        if orders is not None and mapping is not None:
            builder = of_file(orders, mapping)
        else:
            builder = asyncio.run(_read(settings, source, report))
        history, logged = builder.history(), builder.outcomes.logged()
        current = in_force(store, report)
        trained = train_all(
            history, current, seed, report.say, logged=logged, choose=settings_from_data
        )
        metadata = store.save(
            described(history, trained, shown | {"seed": seed}, real_now_ms()),
            history.items,
            trained.parts,
        )
        refused = trained.against()
        if promote and not refused:
            store.promote(metadata.version, real_now_ms())
        _report(report, metadata, trained, promote=promote, refused=refused)


def _origin(
    settings: Settings, source: str, orders: Path | None, mapping: str | None
) -> dict[str, Any]:
    if orders is not None:
        return {"source": "orders", "orders": orders.name, "mapping": mapping}
    place = "archive" if source == "archive" else "bootstrap"
    return {"source": source, place: getattr(settings, place)}


def of_file(path: Path, mapping: str) -> HistoryBuilder:
    """The history of an export. Raises InvalidInput."""
    plan, builder = prepared(path, mapping), HistoryBuilder()
    with tqdm(
        desc="reading", total=plan.export.size, unit="B", unit_scale=True, disable=None
    ) as bar:
        read_file(plan, builder, real_now_ms(), lambda byte: bar.update(byte - bar.n))
    return builder


async def _read(settings: Settings, source: str, report: Report) -> HistoryBuilder:
    builder = HistoryBuilder()
    rows = from_archive if source == "archive" else from_log
    async for records in decisions_from(settings, source):
        for record in records:
            builder.outcomes.decided(record.value)
    with tqdm(desc="reading events", unit=" facts", unit_scale=True, disable=None) as progress:
        async for records in rows(settings):
            builder.read(records)
            progress.update(len(records))
    items = await read_catalogue(settings)
    if items is None:
        report.say("the log does not answer: trained without the catalogue")
    builder.catalogue.update(items or {})
    return builder


def in_force(store: ModelStore, report: Report) -> Version | None:
    """The version in force, as far as it can be read: one that is damaged is no rival."""
    try:
        version = store.current()
        return None if version is None else store.load(version)
    except (InvalidInput, NotFound) as error:
        report.say(f"the version in force is not compared with: {error}")
        return None


def described(history: History, trained: Trained, config: dict[str, Any], real_ms: int) -> Metadata:
    """What the version says of itself. Its name is the time of training, so names ascend."""
    trained_at = datetime.fromtimestamp(real_ms / 1_000, UTC)
    return Metadata(
        name=trained.name,
        version=trained_at.strftime("%Y%m%dT%H%M%S") + f"{real_ms % 1_000:03d}",
        trained_at=trained_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        data={
            "facts": history.facts,
            "sessions": history.sessions,
            "orders": history.orders,
            "items": len(history.items) - 1,
            "customers": len(history.customers),
            "catalogue": len(history.catalogue),
            "from": history.first,
            "to": history.last,
        },
        positions={str(key): value for key, value in history.positions.items()},
        config=config,
        metrics=trained.metrics,
    )


def _report(
    report: Report, metadata: Metadata, trained: Trained, *, promote: bool, refused: list[str]
) -> None:
    reason = "; ".join(refused) if refused else None
    if reason is None and not promote:
        reason = "--no-promote"
    report.add(
        model=metadata.version,
        name=metadata.name,
        promoted=reason is None,
        reason=reason,
        data=metadata.data,
        parts={name: part.facts for name, part in metadata.parts.items()},
        left_out=trained.missing,
        metrics=metadata.metrics,
    )
