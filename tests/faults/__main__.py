"""`python -m tests.faults`: runs the harness, writes its report, exits 1 on any violation."""

import asyncio
import tempfile
from pathlib import Path

import click

from services.commands.output import Report
from tests.faults.plan import make_plan
from tests.faults.report import add_outcome, write_json, write_section
from tests.faults.run import carry_out
from tests.faults.schedule import FORMS, Shape, make_schedule
from tests.faults.system import PARTITIONS, running_servers, running_system


@click.command()
@click.option("--form", type=click.Choice(sorted(FORMS)), default="short", show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/faults.json"))
@click.option(
    "--report",
    "page",
    type=click.Path(path_type=Path, exists=True),
    help="A page whose part between the markers is replaced by this run.",
)
def main(form: str, seed: int, out: Path, page: Path | None) -> None:
    """Kill everything, again and again, and see whether anything was lost or counted twice."""
    shape = FORMS[form]
    settings = {"form": form, "events": shape.events, "partitions": PARTITIONS}
    name = "make faults-long" if form == "long" else "make faults"
    with Report(name, seed=seed, settings=settings) as report:
        with tempfile.TemporaryDirectory(prefix="attune-faults-") as folder:
            _run(report, seed, shape, Path(folder))
        write_json(report, out)
        if page is not None:
            write_section(report, page)


def _run(report: Report, seed: int, shape: Shape, folder: Path) -> None:
    plan = make_plan(seed, shape.events, shape.due_within_s * 1000)
    schedule = make_schedule(seed, shape)
    with running_servers(folder) as (kafka, store):
        report.machine(broker=kafka.description, store=store.description)

        async def run() -> None:
            async with running_system(folder, kafka, store, "faults") as system:
                outcome = await carry_out(system, plan, shape, schedule)
                add_outcome(report, outcome, system, shape)

        asyncio.run(run())


if __name__ == "__main__":
    main()
