"""The command `attune evaluate clv`."""

from pathlib import Path

import click

from services.commands.output import Report, json_option
from services.recommend.evaluation.clv import DAYS, evaluate

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.option("--orders", type=FILE, help="Orders: customer,time,amount; ISO 8601 or seconds.")
@click.option("--summary", type=FILE, help="A summary: customer,frequency,recency,T[,monetary].")
@click.option(
    "--time-unit",
    type=click.Choice(list(DAYS)),
    default="day",
    show_default=True,
    help="Unit of recency and T.",
)
@json_option
def clv(orders: Path | None, summary: Path | None, time_unit: str, as_json: bool) -> None:
    """What will customers be worth?

    Fits BG/NBD (how often customers order, and whether they are still there) and Gamma-Gamma (what
    an order is worth). With --orders also: how well orders of the last third of the time are
    foretold from what was before, against customers simply going on as they did.
    """
    settings = {
        "orders": orders.name if orders else None,
        "summary": summary.name if summary else None,
        "time_unit": time_unit,
    }
    with Report("evaluate clv", as_json=as_json, settings=settings) as report:
        report.add(**evaluate(orders, summary, time_unit))
