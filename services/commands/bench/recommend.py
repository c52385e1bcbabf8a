"""`attune bench recommend`: offers saturated, at a fixed rate, and against a bare baseline.

The server has core 0 for itself; store, broker and load generator share core 1. Saturated,
open loop and baseline take turns, so that what else the machine does falls on all of them.
"""

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from services.commands.bench import recommend_data as data
from services.commands.bench.cpu_time import cpu_seconds
from services.commands.bench.http_load import Job, Outcome
from services.commands.output import Report, json_option
from services.local.ports import free_ports
from services.local.servers import Servers, best_servers, environment
from shared.auth import RECOMMEND, new_api_key
from shared.auth_store import KeyStore
from shared.clock import real_now_ms
from shared.database import Database
from shared.errors import Unavailable
from shared.migrations import migrate
from shared.settings import Settings

RUNS: Final = 3
WARM_S: Final = 1.0
OPEN_CONNECTIONS: Final = 64
READY_S: Final = 60.0
STOP_S: Final = 15.0
LEAST_SATURATED: Final = 3_000
MOST_P99_MS: Final = 20.0
BASELINE: Final = "services.commands.bench.baseline"
NONE: Final = '"fallback":"none"'


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and with what."""

    items: int
    customers: int
    rate: float
    connections: int
    seconds: float
    seed: int


@click.command()
@click.option("--items", default=10_000, show_default=True, type=click.IntRange(100, 1_000_000))
@click.option("--customers", default=100_000, show_default=True, type=click.IntRange(10, 1_000_000))
@click.option("--rate", default=1_000.0, show_default=True, type=click.FloatRange(1, 100_000))
@click.option("--connections", default=32, show_default=True, type=click.IntRange(1, 1_000))
@click.option("--seconds", default=8.0, show_default=True, help="Length of each measurement.")
@click.option("--seed", default=1, show_default=True)
@json_option
def command(
    items: int,
    customers: int,
    rate: float,
    connections: int,
    seconds: float,
    seed: int,
    as_json: bool,
) -> None:
    """Measure /v1/recommend: saturated, open loop at --rate, and against a bare baseline.

    One server process on core 0; the load generator and the store on core 1. Each measurement is
    repeated three times; the medians count. Fails under 3,000 requests/s saturated, or where the
    open loop's p99 reaches 20 ms, or where an answer failed or fell back.
    """
    plan = Plan(items, customers, rate, connections, seconds, seed)
    shown = {name: getattr(plan, name) for name in Plan.__slots__}
    with (
        Report("bench recommend", as_json=as_json, seed=seed, settings=shown) as report,
        tempfile.TemporaryDirectory(prefix="attune-bench-") as name,
    ):
        folder = Path(name)
        settings = Settings(
            database=f"sqlite+aiosqlite:///{folder / 'attune.db'}", models=str(folder / "models")
        )
        with best_servers(folder, settings) as servers:
            report.machine(broker=servers.broker, store=servers.store)
            for pid in (servers.store_pid, servers.broker_pid):
                _pin(pid, _second_core())
            report.say("filling catalogue, profiles and model")
            files = _fill(servers.settings, plan, folder)
            _measure(report, servers, plan, files, folder)


def _fill(settings: Settings, plan: Plan, folder: Path) -> tuple[Path, Path]:
    key = asyncio.run(_make_key(settings))
    shop = data.Shop(plan.items, plan.seed)
    asyncio.run(data.publish_catalogue(settings, shop))
    data.write_profiles(settings, shop, plan.customers, real_now_ms())
    data.write_model(settings, shop)
    asked, bare = folder / "requests.json", folder / "baseline.json"
    data.write_requests(asked, shop, plan.customers, key)
    data.write_baseline_requests(bare, shop, plan.customers)
    return asked, bare


async def _make_key(settings: Settings) -> str:
    await migrate(settings)
    presented, key = new_api_key("server", (RECOMMEND,), "bench")
    async with Database.open(settings) as database:
        await KeyStore(database).add(key, real_now_ms())
    return presented


def _measure(
    report: Report, servers: Servers, plan: Plan, files: tuple[Path, Path], folder: Path
) -> None:
    port, bare_port = free_ports(2)
    variables = {**environment(servers.settings), "ATTUNE_RECOMMEND_PORT": str(port)}
    closed, opened, baseline = _jobs(plan, files, port, bare_port)
    runs: dict[str, list[Outcome]] = {"saturated": [], "open_loop": [], "baseline": []}
    taken: dict[str, list[float]] = {name: [] for name in runs}
    serving = ["-m", "services.cli", "recommend"]
    bare_serving = ["-m", BASELINE, str(bare_port), servers.settings.redis]
    bare_ready = f"http://127.0.0.1:{bare_port}/openapi.json"
    ready = f"http://127.0.0.1:{port}/health/ready"
    for turn in range(1, RUNS + 1):
        with _server(bare_serving, {}, bare_ready, folder) as pid:
            _take(baseline, pid, runs["baseline"], taken["baseline"])
        with _server(serving, variables, ready, folder) as pid:
            _take(closed, pid, runs["saturated"], taken["saturated"])
            _take(opened, pid, runs["open_loop"], taken["open_loop"])
        report.say(
            f"run {turn}: {runs['saturated'][-1].requests_per_second:,.0f} requests/s saturated, "
            f"{runs['baseline'][-1].requests_per_second:,.0f} baseline, open loop p99 "
            f"{runs['open_loop'][-1].p99:.1f} ms"
        )
    counts = folder / "samples.json"
    sampled = ["-m", "services.commands.bench.sampled", str(counts)]
    with _server(sampled, variables, ready, folder):
        _load(closed)
    _report(report, runs, taken, plan, counts)


def _jobs(plan: Plan, files: tuple[Path, Path], port: int, bare_port: int) -> tuple[Job, Job, Job]:
    """Saturated, open loop, and the baseline's."""
    asked, bare = files
    closed = Job(
        port=port,
        requests=str(asked),
        connections=plan.connections,
        warm_s=WARM_S,
        seconds=plan.seconds,
        expected=NONE,
    )
    return (
        closed,
        msgspec.structs.replace(closed, connections=OPEN_CONNECTIONS, rate=plan.rate),
        msgspec.structs.replace(closed, port=bare_port, requests=str(bare), expected=""),
    )


def _take(job: Job, pid: int, runs: list[Outcome], taken: list[float]) -> None:
    """One measurement, and the microseconds of processor time that the server took a request."""
    before = cpu_seconds({"server": pid})
    outcome = _load(job)
    spent = cpu_seconds({"server": pid})["server"] - before["server"]
    runs.append(outcome)
    asked = outcome.requests_per_second * (job.warm_s + job.seconds)
    taken.append(round(spent / max(asked, 1.0) * 1e6, 1))


def _report(
    report: Report,
    runs: dict[str, list[Outcome]],
    taken: dict[str, list[float]],
    plan: Plan,
    counts: Path,
) -> None:
    saturated, opened, bare = (_median(runs[name]) for name in runs)
    samples = msgspec.json.decode(counts.read_bytes(), type=dict[str, int])
    total = sum(samples.values()) or 1
    shares = sorted(samples.items(), key=lambda entry: -entry[1])
    report.add(
        saturated={name: saturated[name] for name in _KEYS},
        open_loop={
            "rate": plan.rate,
            "achieved": opened["requests_per_second"],
            **{name: opened[name] for name in _KEYS[1:]},
        },
        baseline={name: bare[name] for name in ("requests_per_second", "p99")},
        ratio=round(saturated["requests_per_second"] / bare["requests_per_second"], 3),
        cpu_us_per_request={name: statistics.median(found) for name, found in taken.items()},
        share={part: round(count / total, 3) for part, count in shares},
        runs={name: [msgspec.to_builtins(run) for run in found] for name, found in runs.items()},
    )
    report.check("saturated", saturated["requests_per_second"] >= LEAST_SATURATED)
    report.check("open_loop_p99", opened["p99"] < MOST_P99_MS)
    report.check("errors", saturated["errors"] == 0 and opened["errors"] == 0)
    report.check("fallbacks", saturated["fallbacks"] == 0 and opened["fallbacks"] == 0)


_KEYS: Final = ("requests_per_second", "p50", "p99", "errors", "fallbacks")


def _median(runs: list[Outcome]) -> dict[str, Any]:
    """Medians; of errors and fallbacks the sum, so that none is hidden."""
    medians: dict[str, Any] = {
        name: round(statistics.median(getattr(run, name) for run in runs), 3) for name in _KEYS[:3]
    }
    return medians | {name: sum(getattr(run, name) for run in runs) for name in _KEYS[3:]}


@contextmanager
def _server(
    arguments: list[str], variables: Mapping[str, str], ready: str, folder: Path
) -> Iterator[int]:
    """The process id of a server on core 0, ready, stopped at the end. Raises Unavailable with
    its log's end."""
    log = folder / "server.log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603  (our own modules)
            [sys.executable, "-P", *arguments],
            env={**os.environ, **variables},
            stdout=output,
            stderr=output,
        )
    try:
        _pin(process.pid, 0)
        deadline = time.monotonic() + READY_S
        while not _answers(ready):
            if process.poll() is not None or time.monotonic() > deadline:
                raise Unavailable(f"the server did not start: {log.read_text()[-600:]}")
            time.sleep(0.1)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(STOP_S)
        process.kill()
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  (ours, on 127.0.0.1)
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _load(job: Job) -> Outcome:
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "services.commands.bench.http_load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    _pin(process.pid, _second_core())
    answer, _ = process.communicate(msgspec.json.encode(job))
    if process.returncode:
        raise Unavailable("the load generator failed; see its message on standard error")
    return msgspec.json.decode(answer, type=Outcome)


def _second_core() -> int:
    return 1 if (os.cpu_count() or 1) > 1 else 0


def _pin(pid: int, core: int) -> None:
    """All threads of a process to one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        return
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})
