"""The command group `attune evaluate`."""

from pathlib import Path

import click

from services.commands.output import Report, json_option
from services.recommend.evaluation.clv_command import clv
from services.recommend.evaluation.compared import METHODS, SHIPPED
from services.recommend.evaluation.next_basket_command import next_basket
from services.recommend.evaluation.next_item import evaluate
from services.recommend.evaluation.ranking_command import ranking
from services.recommend.evaluation.top_n_command import top_n

FILE = click.Path(path_type=Path, dir_okay=False)


@click.group()
def command() -> None:
    """Compare recommendation methods on held-out data."""


@command.command("next-item")
@click.option("--train", required=True, type=FILE, help="Sessions to learn from.")
@click.option(
    "--valid",
    type=FILE,
    help="Sessions to choose settings on; where few, time splits of --train, too.",
)
@click.option("--test", required=True, type=FILE, help="Sessions to measure on.")
@click.option(
    "--k", default=20, show_default=True, type=click.IntRange(1, 1000), help="List length."
)
@click.option(
    "--keep-current/--drop-current",
    required=True,
    help="Whether the item just clicked may be the next one's prediction.",
)
@click.option(
    "--method",
    default="all",
    show_default=True,
    type=click.Choice([*METHODS, "all"]),
    help="Which method.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of the bootstrap.")
@json_option
def next_item(
    train: Path,
    valid: Path | None,
    test: Path,
    k: int,
    keep_current: bool,
    method: str,
    seed: int,
    as_json: bool,
) -> None:
    """Which item comes next in a session of clicks?

    Files are tab-separated with the header SessionId ItemId Time (seconds), plain or gzip. Clicks
    of a test session are revealed one at a time; items unseen in training are left out.
    """
    names = list(METHODS) if method == "all" else [method]
    settings = {
        "train": train.name,
        "valid": valid.name if valid else None,
        "test": test.name,
        "k": k,
        "current": "kept" if keep_current else "dropped",
    }
    with Report("evaluate next-item", as_json=as_json, seed=seed, settings=settings) as report:
        rows = evaluate(
            train,
            test,
            valid=valid,
            methods=names,
            k=k,
            keep_current=keep_current,
            seed=seed,
            say=lambda line: click.echo(line, err=True),
        )
        report.add(results=rows, shipped=SHIPPED)


command.add_command(clv)
command.add_command(ranking)
command.add_command(next_basket)
command.add_command(ranking)
command.add_command(top_n)
