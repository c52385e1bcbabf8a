"""`attune evaluate ranking` on the command line."""

from pathlib import Path

import click

from services.commands.output import Report, json_option
from services.recommend.evaluation.ranking import evaluate

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--events", required=True, type=FILE, help="Metarank-format JSON lines.")
@click.option("--items", type=FILE, help="Further fields of items: JSON lines or a list.")
@click.option("--seed", default=1, show_default=True, help="Seed of training and bootstrap.")
@json_option
def ranking(events: Path, items: Path | None, seed: int, as_json: bool) -> None:
    """Which of the items shown are clicked?

    Files are plain or gzip. The last fifth of the rankings with a click is the test; settings come
    from the last fifth of the rest.
    """
    settings = {"events": events.name, "items": items.name if items else None}
    with Report("evaluate ranking", as_json=as_json, seed=seed, settings=settings) as report:
        report.add(
            **evaluate(events, items, seed=seed, say=lambda line: click.echo(line, err=True))
        )
