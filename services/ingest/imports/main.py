"""`attune import`: an export of another system goes down the path of live events."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from tqdm import tqdm

from services.commands.output import BOUND_FAILED, CommandFailed, Report, json_option
from services.ingest.imports.embedded import PrivateServers, private_servers, running_services
from services.ingest.imports.mapping import load, shipped
from services.ingest.imports.run import Account, Done, Plan, account, perform, prepare
from services.profile.verify.check import Verification, verify
from shared.settings import Settings

EMBEDDED_WAIT_S = 600.0


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--mapping",
    "mapping_name",
    required=True,
    metavar="NAME_OR_FILE",
    help=f"How rows become facts: a YAML file, or one of: {', '.join(shipped())}.",
)
@click.option("--limit", type=click.IntRange(min=1), help="Take the first N rows only.")
@click.option(
    "--embedded", is_flag=True, help="Into a private system, started and stopped here; verifies it."
)
@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(0, 86_400),
    help="Seconds to wait for ingest and profile.  [default: 120; 600 with --embedded]",
)
@click.option(
    "--again", is_flag=True, help="Although the file was imported through another mapping before."
)
@json_option
def command(
    file: Path,
    mapping_name: str,
    limit: int | None,
    embedded: bool,
    wait_s: float | None,
    again: bool,
    as_json: bool,
) -> None:
    """Send a CSV or JSON-lines export, plain or gzip, down the path of live events.

    The same file through the same mapping is imported once, however often it is asked for; an
    import that was cut off goes on where it stopped. Imported facts teach, and decide nothing: no
    messages are sent for them.

    Exit 1 when not all of it was accounted for in time (or, with --embedded, when the live
    profiles differ from a replay); 2 when the file or the mapping is at fault.
    """
    shown = {"mapping": mapping_name, "limit": limit, "embedded": embedded}
    with Report("import", as_json=as_json, settings=shown) as report, _interruptible(embedded):
        name, mapping = load(mapping_name)
        plan = prepare(file, name, mapping, limit=limit, again=again)
        if not embedded:
            settings = Settings.from_environment()
            asyncio.run(_import(plan, settings, report, 120.0 if wait_s is None else wait_s))
            return
        with private_servers(plan.export.size) as private:
            report.machine(broker=private.servers.broker, store=private.servers.store)
            wait_s = EMBEDDED_WAIT_S if wait_s is None else wait_s
            asyncio.run(_import_and_verify(plan, private, report, wait_s))


@contextmanager
def _interruptible(embedded: bool) -> Iterator[None]:
    """SIGTERM ends an import as Ctrl-C does: what it started is stopped, the ledger is kept."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        kept = "the same command goes on where the import stopped"
        gone = "the private system is gone, and all it held"
        message = f"interrupted; {gone if embedded else kept}"
        raise CommandFailed(message, exit_code=BOUND_FAILED) from None
    finally:
        signal.signal(signal.SIGTERM, before)


async def _import(plan: Plan, settings: Settings, report: Report, wait_s: float) -> None:
    started = time.monotonic()
    with _bar(plan) as moved:
        done = await perform(plan, settings, moved)
    found = await account(done, settings, wait_s)
    _report_import(report, plan, done, found, time.monotonic() - started)


async def _import_and_verify(
    plan: Plan, private: PrivateServers, report: Report, wait_s: float
) -> None:
    async with running_services(private):
        await _import(plan, private.settings, report, wait_s)
        _report_verify(report, await _verify(private.settings))


async def _verify(settings: Settings) -> Verification:
    with tqdm(desc="replaying the log", unit=" records", leave=False, disable=None) as bar:
        return await verify(settings, bar.update)


@contextmanager
def _bar(plan: Plan) -> Iterator[Callable[[int], None]]:
    with tqdm(
        desc="importing",
        total=plan.export.size,
        unit="B",
        unit_scale=True,
        leave=False,
        disable=None,
    ) as bar:

        def moved(byte: int) -> None:
            bar.update(byte - bar.n)

        yield moved


def _report_import(report: Report, plan: Plan, done: Done, found: Account, seconds: float) -> None:
    tally = done.tally
    report.add(
        file=plan.export.path.name,
        digest=plan.export.digest,
        rows=tally.rows,
        rows_in_facts=tally.rows_in_facts,
        excluded=_counts(tally.excluded),
        facts=_counts(tally.facts),
        sent=len(done.sent.sources),
        already_imported=done.sent.skipped,
        applied=found.applied,
        deduplicated=found.deduplicated,
        dead_lettered=found.dead_lettered,
        pending=found.pending,
        balanced=found.balanced,
        items=done.items,
        rows_per_second=round(tally.rows / seconds) if seconds > 0 else 0,
    )
    report.check("rows", tally.rows == tally.rows_in_facts + sum(tally.excluded.values()))
    report.check("balanced", found.balanced)


def _report_verify(report: Report, found: Verification) -> None:
    keys: dict[str, Any] = msgspec.structs.asdict(found)
    report.add(verify=keys)
    report.check("equal", found.different == 0)
    report.check("verify_balanced", found.balanced)
    report.check("lost", found.lost == 0)
    report.check("applied_twice", found.applied_twice == 0)


def _counts(counter: dict[str, int]) -> dict[str, int]:
    """By falling number; what was counted and taken back is left out."""
    pairs = sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))
    return {name: number for name, number in pairs if number}
