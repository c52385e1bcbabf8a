"""`attune bench ingest`: from a filled `events` topic to applied profiles, and where time goes."""

import asyncio
import os
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click
from prometheus_client.parser import text_string_to_metric_families
from tqdm import tqdm

from services.commands.bench.workload import shop_facts
from services.commands.output import Report, json_option
from services.local.guard import Guarded
from services.local.ports import free_ports
from services.local.servers import best_servers, environment
from shared import topics
from shared.bus import Producer, ensure_topics
from shared.clock import real_now_ms
from shared.errors import Unavailable
from shared.events import encode, identity_key
from shared.settings import Settings

STAGES: Final = ("decode", "load", "fold", "store", "publish", "commit")
LEAST_EVENTS_PER_SECOND: Final = 10_000
RUN_LIMIT_S: Final = 300.0
POLL_S: Final = 0.1


@click.command()
@click.option("--events", type=click.IntRange(1_000, 5_000_000), default=200_000, show_default=True)
@click.option("--profiles", type=click.IntRange(1, 8), default=1, show_default=True)
@click.option("--partitions", type=click.IntRange(1, 64), default=16, show_default=True)
@click.option("--runs", type=click.IntRange(3, 20), default=3, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@json_option
def command(
    events: int, profiles: int, partitions: int, runs: int, seed: int, as_json: bool
) -> None:
    """Measure the fold: a filled `events` topic to applied state.

    Runs the real profile processes on Apache Kafka and redis-server where they are at hand. Exit 1
    below 10,000 events/s.
    """
    options = {"events": events, "profiles": profiles, "partitions": partitions, "runs": runs}
    with (
        Report("bench ingest", as_json=as_json, seed=seed, settings=options) as report,
        tempfile.TemporaryDirectory(prefix="attune-bench-") as folder,
        best_servers(Path(folder), Settings(partitions=partitions)) as servers,
    ):
        report.machine(broker=servers.broker, store=servers.store)
        measured = []
        for number in range(runs):
            settings = replace(servers.settings, namespace=f"bench{number}")
            asyncio.run(_fill(settings, events, seed + number))
            measured.append(_run(settings, events, profiles, Path(folder)))
            report.say(f"run {number + 1}: {measured[-1]['events_per_second']:,.0f} events/s")
        report.add(events=events, runs=measured, **_median(measured))
        fast = report.results["events_per_second"] >= LEAST_EVENTS_PER_SECOND
        report.check("events_per_second", fast)


async def _fill(settings: Settings, events: int, seed: int) -> None:
    await ensure_topics(settings)
    topic = topics.EVENTS.named(settings.namespace)
    async with Producer.open(settings) as producer:
        facts = shop_facts(events, seed, real_now_ms())
        with tqdm(facts, total=events, desc="filling events", leave=False, disable=None) as bar:
            for number, fact in enumerate(bar):
                await producer.send(topic, encode(fact), key=identity_key(fact).encode())
                if number % 5_000 == 0:
                    await producer.flush()
        await producer.flush()


def _run(settings: Settings, events: int, profiles: int, folder: Path) -> dict[str, Any]:
    ports = free_ports(profiles)
    with ExitStack() as stack:
        processes = []
        for port in ports:
            process = Guarded.start(
                [sys.executable, "-m", "services.cli", "profile", "--port", str(port)],
                log=folder / f"profile-{port}.log",
                environment=environment(settings),
            )
            stack.callback(process.stop)
            processes.append(process)
        return _measure(processes, ports, events)


def _measure(processes: Sequence[Guarded], ports: Sequence[int], events: int) -> dict[str, Any]:
    """Counts from the first facts seen applied to the last, so start-up is left out."""
    begun = _await(processes, ports, at_least=1)
    ended = _await(processes, ports, at_least=events)
    seconds = ended["at"] - begun["at"]
    applied = ended["applied"] - begun["applied"]
    cpu = ended["cpu"] - begun["cpu"]
    wall = seconds * len(processes)
    share = {
        stage: round((ended.get(stage, 0.0) - begun.get(stage, 0.0)) / wall, 4) for stage in STAGES
    }
    share["other"] = round(max(0.0, 1 - sum(share.values())), 4)
    return {
        "events_per_second": round(applied / seconds, 1),
        "events_per_cpu_second": round(applied / cpu, 1),
        "cpu_share": round(cpu / wall, 3),
        "share": share,
    }


def _await(
    processes: Sequence[Guarded], ports: Sequence[int], *, at_least: int
) -> dict[str, float]:
    deadline = time.monotonic() + RUN_LIMIT_S
    while True:
        for process in processes:
            if not process.alive():
                raise Unavailable(f"a profile process ended; its log is {process.log}")
        sample = _sample(processes, ports)
        if sample["applied"] >= at_least:
            return sample
        if time.monotonic() > deadline:
            raise Unavailable(f"only {sample['applied']:.0f} facts applied in {RUN_LIMIT_S:g} s")
        time.sleep(POLL_S)


def _sample(processes: Sequence[Guarded], ports: Sequence[int]) -> dict[str, float]:
    sample: dict[str, float] = {"applied": 0.0}
    for port in ports:
        for name, labels, value in _metrics(port):
            if name == "attune_profile_facts_total":
                sample["applied"] += value
            elif name == "attune_profile_batch_seconds_sum":
                stage = labels["stage"]
                sample[stage] = sample.get(stage, 0.0) + value
    sample["at"] = time.monotonic()
    sample["cpu"] = sum(_cpu_seconds(process.pid) for process in processes)
    return sample


def _metrics(port: int) -> list[tuple[str, dict[str, str], float]]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
            text = answer.read().decode()
    except OSError:
        return []
    return [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    ]


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _median(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    middle = sorted(runs, key=lambda run: run["events_per_second"])[len(runs) // 2]
    return {
        "events_per_second": statistics.median(run["events_per_second"] for run in runs),
        "events_per_cpu_second": statistics.median(run["events_per_cpu_second"] for run in runs),
        "share": middle["share"],
    }
