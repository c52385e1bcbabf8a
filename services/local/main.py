"""`attune local`: the whole system on this machine, a simulated shop, and a report.

The same services as in production, as processes of their own; only the addresses differ, and a
clock that makes three days of business pass in a minute.
"""

import asyncio
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from tqdm import tqdm

from services.commands.output import CommandFailed, Report, json_option
from services.local.examples import read_examples
from services.local.report import render
from services.local.servers import Servers
from services.local.shop import Progress, run_shop
from services.local.staying import stay
from services.local.system import (
    Ports,
    System,
    embedded_servers,
    private_settings,
    running_system,
)
from services.profile.scenarios.main import load_or_exit
from services.profile.verify.check import Verification, verify, wait_until_drained
from services.simulator.world import WORLDS, build
from shared.clock import Clock, real_now_ms
from shared.errors import InvalidInput
from shared.settings import Settings

OPENING: Final = 1_780_293_600_000
"""Business time at which a run begins: Monday, 1 June 2026, 06:00 UTC."""
SPEED: Final = 4_320
"""Business seconds a second: three days a minute."""
DRAIN_S: Final = 30.0
INTERRUPTED: Final = 130
SAID_EVERY: Final = 5
SHARE_OF_RANDOM: Final = 0.5
"""Of shoppers who get random offers, so that a minute is enough to compare."""

LEAST_APPLIED: Final = 5_000
FRESHNESS_MS: Final = 100.0
RECOMMEND_MS: Final = 50.0
FULL_RUN_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for."""

    seconds: float
    keep: bool
    seed: int
    world: str
    file: Path | None
    ports: Ports
    scenarios: Path | None = None

    @property
    def demanding(self) -> bool:
        """Whether the bounds on volume, speed and lift apply."""
        return self.world == "default" and self.seconds >= FULL_RUN_S


@click.command()
@click.option(
    "--seconds",
    type=click.FloatRange(1, 3_600),
    default=60.0,
    show_default=True,
    help="How long the shop is open.",
)
@click.option("--keep", is_flag=True, help="Stay up after the report, until Ctrl-C.")
@click.option("--seed", type=int, default=1, show_default=True, help="Of the simulated world.")
@click.option(
    "--world",
    type=click.Choice(sorted(WORLDS)),
    default="default",
    show_default=True,
    help="default: offers and messages work; null: offers have no effect; hostile: messages annoy.",
)
@click.option(
    "--report",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write the JSON there too.",
)
@click.option(
    "--scenarios",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="ATTUNE_SCENARIOS",
    show_envvar=True,
    help="A scenarios file of your own, checked before anything starts. [default: the shipped one]",
)
@click.option("--collector-port", type=click.IntRange(1, 65_535), help="[default: a free one]")
@click.option("--recommend-port", type=click.IntRange(1, 65_535), help="[default: a free one]")
@json_option
def command(
    seconds: float,
    keep: bool,
    seed: int,
    world: str,
    file: Path | None,
    scenarios: Path | None,
    collector_port: int | None,
    recommend_port: int | None,
    as_json: bool,
) -> None:
    """Run the whole system on this machine with a simulated shop, and report.

    Starts an embedded broker and store, SQLite and the services on free ports, in a folder of its
    own that is removed at the end. Exit 1 when an event is not accounted for or, in the default
    world with at least 60 seconds, when speed, freshness or lift miss their bounds.
    """
    ports = Ports(collector_port, recommend_port)
    plan = Plan(seconds, keep, seed, world, file, ports, scenarios)
    named = None if scenarios is None else str(scenarios)
    settings = {"seconds": seconds, "world": world, "speed": SPEED, "scenarios": named}
    with Report("local", as_json=as_json, seed=seed, settings=settings) as report:
        if file is not None and not file.absolute().parent.is_dir():
            raise InvalidInput(f"--report: there is no folder {file.absolute().parent}")
        plan.ports.check()
        if scenarios is not None:
            report.say(f"scenarios {scenarios}, version {load_or_exit(scenarios).version}")
        with _interruptible(), tempfile.TemporaryDirectory(prefix="attune-local-") as name:
            folder = Path(name)
            report.say("starting the broker and the store")
            with embedded_servers(folder, _settings(plan, folder)) as servers:
                report.machine(broker=servers.broker, store=servers.store)
                asyncio.run(_run(plan, folder, servers, report))


def _settings(plan: Plan, folder: Path) -> Settings:
    settings = private_settings(folder, Clock(real_now_ms(), OPENING, SPEED))
    if plan.scenarios is None:
        return settings
    return replace(settings, scenarios=str(plan.scenarios.absolute()))


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM ends a run as Ctrl-C does: everything is stopped, exit 130.

    So does SIGINT in the background of a script, where shells have it ignored.
    """
    interrupt = signal.signal(signal.SIGINT, signal.default_int_handler)
    previous = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    except KeyboardInterrupt:
        raise CommandFailed("interrupted; all is stopped", exit_code=INTERRUPTED) from None
    finally:
        signal.signal(signal.SIGTERM, previous)
        signal.signal(signal.SIGINT, interrupt)


async def _run(plan: Plan, folder: Path, servers: Servers, report: Report) -> None:
    world = build(plan.world, plan.seed)
    report.say("starting collector, ingest, profile and recommend")
    variables = {
        "ATTUNE_RECOMMEND_RANDOM_SHARE": str(SHARE_OF_RANDOM),
        "ATTUNE_RECOMMEND_SALT": f"{plan.world}-{plan.seed}",
    }
    async with running_system(folder, servers, ports=plan.ports, variables=variables) as system:
        await system.load_catalogue([item.as_catalogue() for item in world.items])
        report.say(f"the shop opens: collector {system.collector}, recommend {system.recommend}")
        with _Live(report, plan.seconds) as live:
            shop = await run_shop(
                system,
                folder,
                world=plan.world,
                seed=plan.seed,
                seconds=plan.seconds,
                on_progress=live.show,
            )
        report.say("the shop has closed; waiting until every event has arrived")
        drained = await wait_until_drained(system.settings, DRAIN_S)
        report.check("drained", drained)
        verified = await verify(system.settings)
        titles = {item.id: item.title for item in world.items}
        examples = await read_examples(system, shop["customers"], titles)
        _conclude(plan, report, system, shop, verified, examples)
        if plan.keep:
            await stay(report, system)


def _conclude(
    plan: Plan,
    report: Report,
    system: System,
    shop: dict[str, Any],
    verified: Verification,
    examples: list[dict[str, Any]],
) -> None:
    events = {
        "received": verified.received,
        "applied": verified.applied,
        "deduplicated": verified.deduplicated,
        "dead_lettered": sum(verified.dead_lettered.values()),
        "pending": verified.pending,
        "reasons": verified.dead_lettered,
    }
    names = ("freshness_ms", "recommend_ms", "conversion")
    report.add(
        events=events,
        balanced=verified.balanced,
        events_per_second=round(verified.applied / plan.seconds, 1),
        **{name: shop[name] for name in names},
        endpoints=system.endpoints,
        examples=examples,
        verify={
            name: getattr(verified, name)
            for name in ("events", "customers", "equal", "different", "lost", "applied_twice")
        },
        simulator={name: shop[name] for name in sorted(shop.keys() - {*names, "customers"})},
    )
    _check(plan, report, verified)
    report.text = render(report.results, up=plan.keep)
    if plan.file is not None:
        plan.file.write_bytes(msgspec.json.encode(report.envelope()) + b"\n")


def _check(plan: Plan, report: Report, verified: Verification) -> None:
    results = report.results
    report.check("balanced", verified.balanced)
    report.check("profiles_equal_replay", not verified.different and not verified.applied_twice)
    if not plan.demanding:
        return
    low = results["conversion"]["ci95"][0]
    report.check("events_applied", verified.applied >= LEAST_APPLIED)
    _check_below(report, "freshness_p99", results["freshness_ms"]["p99"], FRESHNESS_MS)
    _check_below(report, "recommend_p99", results["recommend_ms"]["p99"], RECOMMEND_MS)
    report.check("lift", low is not None and low > 0)


def _check_below(report: Report, name: str, value: float | None, bound: float) -> None:
    measured = "nothing was measured" if value is None else f"{value:,.0f} ms"
    why = f"{measured}, must be below {bound:g} ms: a matter of speed, as on a machine full of work"
    report.check(name, value is not None and value < bound, why)


class _Live:
    """The live summary: a bar on a terminal, else a line every few seconds."""

    def __init__(self, report: Report, seconds: float) -> None:
        self._report = report
        self._seconds = seconds
        self._bar: tqdm[Any] | None = None
        self._said = 0.0

    def __enter__(self) -> "_Live":
        if sys.stderr.isatty():
            layout = "{l_bar}{bar:20}| {n:.0f}/{total:.0f} s {postfix}"
            self._bar = tqdm(total=self._seconds, desc="shop open", bar_format=layout)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.close()

    def show(self, progress: Progress) -> None:
        """Tells how the shop is doing."""
        elapsed, fresh = progress["elapsed_s"], progress["freshness_p50_ms"]
        text = (
            f"{progress['events']:,} events, {progress['events_per_second']:.0f}/s; "
            f"{progress['visits']:,} visits, {progress['orders']:,} orders; "
            f"{progress['decisions']:,} decisions; "
            f"click to offer {'-' if fresh is None else f'{fresh:.0f} ms'}"
        )
        if self._bar is not None:
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.update(min(elapsed, self._seconds) - self._bar.n)
        elif elapsed >= self._said + SAID_EVERY:
            self._said = elapsed
            self._report.say(f"{elapsed:5.0f} s  {text}")
