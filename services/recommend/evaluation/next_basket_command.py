"""The command `attune evaluate next-basket`."""

from pathlib import Path

import click

from services.commands.output import Report, json_option
from services.recommend.evaluation.next_basket import SHIPPED, evaluate
from shared.clock import real_now_ms


@click.command("next-basket")
@click.option(
    "--orders",
    required=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Order lines, as `attune import` takes them.",
)
@click.option("--mapping", required=True, metavar="NAME_OR_FILE", help="How rows become orders.")
@click.option(
    "--k", default=10, show_default=True, type=click.IntRange(1, 1000), help="List length."
)
@click.option("--seed", default=1, show_default=True, help="Seed of the bootstrap.")
@json_option
def next_basket(orders: Path, mapping: str, k: int, seed: int, as_json: bool) -> None:
    """What will be in a customer's next order?

    The last order of each customer with at least three is foretold from all other orders; weights
    are learned from the orders before the last. Refunds, postage and fees are left out as the
    mapping says.
    """
    settings = {"orders": orders.name, "mapping": mapping, "k": k}
    with Report("evaluate next-basket", as_json=as_json, seed=seed, settings=settings) as report:
        rows = evaluate(
            orders,
            mapping,
            k=k,
            seed=seed,
            now_ms=real_now_ms(),
            say=lambda line: click.echo(line, err=True),
        )
        report.add(results=rows, shipped=SHIPPED)
