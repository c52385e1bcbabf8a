"""`attune scenarios dry-run`: what a draft would have sent in the last days, sending nothing."""

from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec
import uvloop
from tqdm import tqdm

from services.commands.output import Report, json_option
from services.profile.dry_run.report import tables
from services.profile.dry_run.run import Asked, DryRun, dry_run, prepared
from services.profile.dry_run.sources import Source
from services.profile.scenarios.holding import SHIPPED
from shared.settings import Settings


@click.command()
@click.option(
    "--scenario",
    "draft",
    type=click.Path(path_type=Path),
    required=True,
    help="The draft: a scenarios file.",
)
@click.option(
    "--only",
    default="",
    metavar="NAME",
    help="Only this scenario of the draft, in the place of its namesake among the running ones.",
)
@click.option(
    "--days",
    type=click.IntRange(1, 3660),
    default=30,
    show_default=True,
    help="How many days before the newest fact to judge.",
)
@click.option(
    "--source",
    type=click.Choice(("archive", "log")),
    help="What to replay; the archive if there is one, unless named.",
)
@click.option(
    "--segments-within",
    "segments_within_s",
    type=click.IntRange(0, 3600),
    default=300,
    show_default=True,
    help="Ask for segments and stage so many seconds after an event at most; 0: after each one.",
)
@json_option
def command(
    draft: Path,
    only: str,
    days: int,
    source: Source | None,
    segments_within_s: int,
    as_json: bool,
) -> None:
    """Replay the archived log against a draft: how many would fire, to whom, in whose way.

    Sends nothing, writes nothing. Facts before the window are folded first, so that every customer
    is known as on its first day; inside of it the draft decides in the place of what really ran.
    """
    settings = Settings.from_environment()
    options = {
        "scenario": str(draft),
        "only": only,
        "days": days,
        "source": source,
        "segments_within_s": segments_within_s,
    }
    with Report("scenarios dry-run", as_json=as_json, settings=options) as report:
        running = Path(settings.scenarios or SHIPPED)
        asked = Asked(
            draft=draft,
            running=running,
            only=only,
            days=days,
            source=source,
            segments_within_s=segments_within_s,
        )
        found = uvloop.run(_run(settings, asked))
        keys = msgspec.structs.asdict(found)
        report.add(**msgspec.structs.asdict(keys.pop("effects")), **keys)
        report.text = f"{_heading(found)}\n\n{tables(found.effects)}"


async def _run(settings: Settings, asked: Asked) -> DryRun:
    setup = await prepared(settings, asked)
    events = sum(setup.history.ends.values())
    with tqdm(desc="replaying", unit=" facts", total=events, leave=False, disable=None) as bar:
        return await dry_run(setup, bar.update)


def _heading(found: DryRun) -> str:
    first, last = (_day(at) for at in (found.window.from_ms, found.window.until_ms))
    return (
        f"{first} to {last} UTC from the {found.source}: {found.events:,} events, "
        f"{found.customers:,} known customers, {found.events_per_second:,.0f} events/s"
    )


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M")
