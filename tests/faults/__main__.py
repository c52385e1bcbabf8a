"""`python -m tests.faults`: runs the harness, writes its report, exits 1 on any violation."""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from services.commands.output import Report
from services.local.apache import ApacheKafka
from services.local.store import EmbeddedStore
from shared.errors import Unavailable
from tests.faults.mutations import GUARDS
from tests.faults.plan import make_plan
from tests.faults.playing import play_all
from tests.faults.report import add_mutations, add_outcome, write_json, write_section
from tests.faults.run import carry_out
from tests.faults.schedule import FORMS, Shape, make_schedule
from tests.faults.system import PARTITIONS, running_servers, running_system


@click.command()
@click.option("--form", type=click.Choice(sorted(FORMS)), default="short", show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/faults.json"))
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.option("--mutations", is_flag=True, help="Only the mutations of the long form.")
@click.option("--only-mutation", type=click.Choice(sorted(GUARDS)), multiple=True)
@click.option("--keep", is_flag=True, help="Keep the folder with data and logs.")
@click.option(
    "--report",
    "page",
    type=click.Path(path_type=Path, exists=True),
    help="A page whose part between the markers is replaced by this run.",
)
def main(
    form: str,
    seed: int,
    out: Path,
    as_json: bool,
    mutations: bool,
    only_mutation: tuple[str, ...],
    keep: bool,
    page: Path | None,
) -> None:
    """Kill everything, again and again, and see whether anything was lost or counted twice."""
    # A client whose broker was killed says so through callbacks that nobody waits for.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    whole = not mutations and not only_mutation
    if page is not None and not whole:
        raise click.UsageError("--report shows a whole run, not its mutations alone")
    shape = FORMS[form]
    settings = {"form": form, "events": shape.events, "partitions": PARTITIONS}
    name = "make faults-long" if form == "long" else "make faults"
    guards = list(only_mutation) or (list(GUARDS) if mutations or form == "long" else [])
    # What an earlier run said must not be taken for what this one says, should it end half-way.
    out.unlink(missing_ok=True)
    with Report(name, seed=seed, settings=settings, as_json=as_json) as report:
        with _folder(keep) as folder, running_servers(folder) as (kafka, store):
            report.machine(broker=kafka.description, store=store.description)
            if whole:
                asyncio.run(_run(report, seed, shape, folder, kafka, store))
            played = asyncio.run(play_all(kafka, folder / "plays", guards)) if guards else {}
            add_mutations(report, played)
        write_json(report, out)
        if page is not None:
            write_section(report, page)


@contextmanager
def _folder(keep: bool) -> Iterator[Path]:
    """A folder for data and logs, gone at the end unless it is to be looked at."""
    folder = Path(tempfile.mkdtemp(prefix="attune-faults-"))
    try:
        yield folder
    finally:
        if keep:
            click.echo(f"kept: {folder}", err=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)


async def _run(
    report: Report, seed: int, shape: Shape, folder: Path, kafka: ApacheKafka, store: EmbeddedStore
) -> None:
    plan = make_plan(seed, shape.events, shape.due_within_s * 1000)
    schedule = make_schedule(seed, shape)
    async with running_system(folder, kafka, store, "faults") as system:
        try:
            async with asyncio.timeout(shape.most_s):
                outcome = await carry_out(system, plan, shape, schedule)
        except TimeoutError:
            raise Unavailable(f"the run was not through after {shape.most_s} s") from None
        add_outcome(report, outcome, system, shape)


if __name__ == "__main__":
    main()
