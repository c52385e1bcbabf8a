"""`attune bench ingest`: from a filled `events` topic to applied profiles, and where time goes."""

import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
from tqdm import tqdm

from services.commands.bench.cpu_time import cores_used
from services.commands.bench.watched import STAGES, Service, Watched
from services.commands.bench.workload import shop_facts
from services.commands.output import Report, json_option
from services.local.guard import Guarded
from services.local.ports import free_port
from services.local.servers import Servers, best_servers, environment
from shared import topics
from shared.bus import Producer, ensure_topics
from shared.clock import real_now_ms
from shared.events import encode, identity_key
from shared.settings import Settings

LEAST_EVENTS_PER_CPU_SECOND: Final = {"shipped": 15_000, "none": 20_000}
"""By which scenarios the profile processes have."""
NO_SCENARIOS: Final = "version: none\nscenarios: []\n"


@click.command()
@click.option("--events", type=click.IntRange(1_000, 5_000_000), default=200_000, show_default=True)
@click.option("--profiles", type=click.IntRange(1, 8), default=1, show_default=True)
@click.option("--partitions", type=click.IntRange(1, 64), default=16, show_default=True)
@click.option("--runs", type=click.IntRange(3, 20), default=3, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option(
    "--scenarios",
    type=click.Choice(list(LEAST_EVENTS_PER_CPU_SECOND)),
    default="shipped",
    show_default=True,
    help="Those that ship with Attune, or none at all.",
)
@click.option("--raw", is_flag=True, help="Begin at clickstream: ingest works as well.")
@json_option
def command(
    events: int,
    profiles: int,
    partitions: int,
    runs: int,
    seed: int,
    scenarios: str,
    raw: bool,
    as_json: bool,
) -> None:
    """Measure the fold: a filled `events` topic to applied state.

    Runs the real profile processes on Apache Kafka and redis-server (appending to its log every
    second) where they are at hand. Also says how busy each process was (cpu_share, in cores) and
    how much memory it held while the backlog was drained (rss_mb). Exit 1 below 15,000 events a
    CPU second of the profile processes; without scenarios, below 20,000.
    """
    options = {
        "events": events,
        "profiles": profiles,
        "partitions": partitions,
        "runs": runs,
        "scenarios": scenarios,
        "raw": raw,
    }
    with (
        Report("bench ingest", as_json=as_json, seed=seed, settings=options) as report,
        tempfile.TemporaryDirectory(prefix="attune-bench-") as folder,
        best_servers(
            Path(folder),
            Settings(partitions=partitions, scenarios=_scenarios(scenarios, Path(folder))),
        ) as servers,
    ):
        report.machine(broker=servers.broker, store=servers.store)
        measured = []
        for number in range(runs):
            settings = replace(servers.settings, namespace=f"bench{number}")
            asyncio.run(_fill(settings, events, seed + number, raw=raw))
            own = replace(servers, settings=settings)
            measured.append(_run(own, events, profiles, Path(folder), raw=raw))
            report.say(
                f"run {number + 1}: {measured[-1]['events_per_second']:,.0f} events/s, "
                f"{measured[-1]['events_per_cpu_second']:,.0f} a CPU second"
            )
        report.add(events=events, scenarios=scenarios, runs=measured, **_median(measured))
        fast = report.results["events_per_cpu_second"] >= LEAST_EVENTS_PER_CPU_SECOND[scenarios]
        report.check("events_per_cpu_second", fast)


def _scenarios(which: str, folder: Path) -> str:
    """What `ATTUNE_SCENARIOS` is to be."""
    if which == "shipped":
        return ""
    path = folder / "none.yaml"
    path.write_text(NO_SCENARIOS)
    return str(path)


async def _fill(settings: Settings, events: int, seed: int, *, raw: bool) -> None:
    await ensure_topics(settings)
    topic = (topics.CLICKSTREAM if raw else topics.EVENTS).named(settings.namespace)
    async with Producer.open(settings) as producer:
        facts = shop_facts(events, seed, real_now_ms())
        with tqdm(facts, total=events, desc="filling events", leave=False, disable=None) as bar:
            for number, fact in enumerate(bar):
                await producer.send(topic, encode(fact), key=identity_key(fact).encode())
                if number % 5_000 == 0:
                    await producer.flush()
        await producer.flush()


def _run(
    servers: Servers, events: int, profiles: int, folder: Path, *, raw: bool
) -> dict[str, Any]:
    names = [f"profile-{number + 1}" for number in range(profiles)] + ["ingest"] * raw
    with ExitStack() as stack:
        running = []
        for name in names:
            port, service = free_port(), name.partition("-")[0]
            process = Guarded.start(
                [sys.executable, "-m", "services.cli", service, "--port", str(port)],
                log=folder / f"{name}-{port}.log",
                environment=environment(servers.settings),
            )
            stack.callback(process.stop)
            running.append(Service(name, process, port))
        others = {each.name: each.process.pid for each in running[profiles:]}
        others |= {"broker": servers.broker_pid, "store": servers.store_pid}
        return _measure(Watched(running[:profiles], others), events)


def _measure(watched: Watched, events: int) -> dict[str, Any]:
    """Counts from the first facts seen applied to the last, so start-up is left out."""
    begun = watched.until(1)
    watched.forget_memory()
    ended = watched.until(events)
    seconds, applied = ended.at - begun.at, ended.applied - begun.applied
    cores = cores_used(begun.cpu, ended.cpu, seconds)
    busy = sum(cores[each.name] for each in watched.profiles)
    wall = seconds * len(watched.profiles)
    share = {each: round((ended.stages[each] - begun.stages[each]) / wall, 4) for each in STAGES}
    share["other"] = round(max(0.0, 1 - sum(share.values())), 4)
    return {
        "events_per_second": round(applied / seconds, 1),
        "events_per_cpu_second": round(applied / (busy * seconds), 1),
        "cpu_share": cores,
        "share": share,
        "rss_mb": {
            name: {when: round(size, 1) for when, size in sizes.items()}
            for name, sizes in watched.rss_mb.items()
        },
    }


def _median(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    middle = sorted(runs, key=lambda run: run["events_per_second"])[len(runs) // 2]
    return {
        "events_per_second": statistics.median(run["events_per_second"] for run in runs),
        "events_per_cpu_second": statistics.median(run["events_per_cpu_second"] for run in runs),
        "share": middle["share"],
        "cpu_share": middle["cpu_share"],
        "rss_mb": middle["rss_mb"],
    }
