"""`attune rebuild`: all of Redis anew from the log or the archive, without a pause."""

import click
import msgspec
import uvloop
from tqdm import tqdm

from services.commands.output import Report, json_option
from services.profile.rebuild.run import Rebuild, Rebuilt
from services.profile.rebuild.sources import SOURCES, Source
from shared.settings import Settings


@click.command()
@click.option(
    "--from",
    "source",
    type=click.Choice(SOURCES),
    default="auto",
    show_default=True,
    help="auto: the log, and before it the archive where the log's start is gone.",
)
@click.option(
    "--grace",
    "grace_s",
    type=click.FloatRange(0, 3600),
    default=5.0,
    show_default=True,
    help="Seconds after the swap until the old profiles are removed.",
)
@json_option
def command(source: Source, grace_s: float, as_json: bool) -> None:
    """Fold the log anew into Redis, beside what is live, and swap.

    Recommend answers and profile folds on meanwhile. A run that was killed changes nothing; the
    next one removes what it had written. Publishes nothing, decides nothing.
    """
    settings = Settings.from_environment()
    options = {"namespace": settings.namespace, "from": source, "grace_s": grace_s}
    with Report("rebuild", as_json=as_json, settings=options) as report:
        rebuilt = uvloop.run(_rebuild(settings, source, grace_s))
        report.add(**msgspec.structs.asdict(rebuilt))


async def _rebuild(settings: Settings, source: Source, grace_s: float) -> Rebuilt:
    with tqdm(desc="folding the log", unit=" facts", leave=False, disable=None) as bar:
        return await Rebuild(settings, source, grace_s=grace_s, progress=bar.update).run()
