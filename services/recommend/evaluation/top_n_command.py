"""The command `attune evaluate top-n`."""

from pathlib import Path

import click

from services.commands.output import Report, json_option
from services.recommend.evaluation.top_n import evaluate
from services.recommend.evaluation.top_n_methods import METHODS, SHIPPED

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("top-n")
@click.option("--interactions", required=True, type=FILE, help="What to learn from.")
@click.option("--test", required=True, type=FILE, help="What to measure on.")
@click.option("--items", type=FILE, help="Fields of items.")
@click.option("--users", type=FILE, help="Fields of users.")
@click.option(
    "--k", default=10, show_default=True, type=click.IntRange(1, 1000), help="List length."
)
@click.option(
    "--method",
    default="all",
    show_default=True,
    type=click.Choice([*METHODS, "shipped", "all"]),
    help="Which method.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of training and bootstrap.")
@json_option
def top_n(
    interactions: Path,
    test: Path,
    items: Path | None,
    users: Path | None,
    k: int,
    method: str,
    seed: int,
    as_json: bool,
) -> None:
    """Which items does a user take up next?

    Files are tab-separated with the header user item rating time, plain or gzip. Items of the
    training file are masked: they are not recommended to the user who has them.
    """
    names = {"all": list(METHODS), "shipped": [SHIPPED]}.get(method, [method])
    settings = {
        "interactions": interactions.name,
        "test": test.name,
        "items": items.name if items else None,
        "users": users.name if users else None,
        "k": k,
        "training_items": "masked",
    }
    with Report("evaluate top-n", as_json=as_json, seed=seed, settings=settings) as report:
        rows = evaluate(
            interactions,
            test,
            items=items,
            users=users,
            methods=names,
            k=k,
            seed=seed,
            say=lambda line: click.echo(line, err=True),
        )
        report.add(results=rows, shipped=SHIPPED)
