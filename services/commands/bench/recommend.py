"""`attune bench recommend`: offers saturated, at a fixed rate, beside other work, and a baseline.

Saturated, open loop and baseline take turns, so that what else the machine does falls on all of
them. serving.py says which process runs where.
"""

import asyncio
import statistics
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import click
import msgspec

from services.commands.bench import recommend_data as data
from services.commands.bench import recommend_models as models
from services.commands.bench.http_load import Job
from services.commands.bench.recommend_busy import EVENTS_PER_S, Busy, measure_busy
from services.commands.bench.serving import KEYS, Taken, median, pin_beside, server, take
from services.commands.output import Report, json_option
from services.local.ports import free_ports
from services.local.servers import Servers, best_servers, environment
from shared.auth import RECOMMEND, new_api_key
from shared.auth_store import KeyStore
from shared.bus_offsets import topic_shape
from shared.clock import real_now_ms
from shared.database import Database
from shared.migrations import migrate
from shared.settings import Settings
from shared.topics import EVENTS

RUNS: Final = 3
WARM_S: Final = 1.0
OPEN_CONNECTIONS: Final = 64
FEW_ITEMS: Final = 10_000
"""Up to so many items the bounds hold in full; with more of them, half of each rate and ratio."""
LEAST_SATURATED: Final = 2_500
LEAST_RATIO: Final = 0.7
RATE: Final = 1_000.0
MOST_P50_MS: Final = 3.0
MOST_P99_MS: Final = 10.0
MOST_BUSY_P99_MS: Final = 25.0
BASELINE: Final = "services.commands.bench.baseline"
NONE: Final = '"fallback":"none"'


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure, and with what."""

    items: int
    customers: int
    rate: float
    connections: int
    workers: int
    seconds: float
    seed: int

    @property
    def part(self) -> float:
        """Of the bounds for up to FEW_ITEMS."""
        return 1.0 if self.items <= FEW_ITEMS else 0.5


@click.command()
@click.option("--items", default=10_000, show_default=True, type=click.IntRange(100, 1_000_000))
@click.option("--customers", default=100_000, show_default=True, type=click.IntRange(10, 1_000_000))
@click.option(
    "--rate",
    type=click.FloatRange(2, 100_000),
    help="Requests/s of the open loop.  [default: 1000; 500 with more than 10,000 items]",
)
@click.option("--connections", default=32, show_default=True, type=click.IntRange(1, 1_000))
@click.option(
    "--workers",
    default=2,
    show_default=True,
    type=click.IntRange(1, 64),
    help="Server processes, of the baseline too.",
)
@click.option("--seconds", default=8.0, show_default=True, help="Length of each measurement.")
@click.option("--busy/--quiet", default=True, help="Measure beside other work, too.")
@click.option("--seed", default=1, show_default=True)
@json_option
def command(
    items: int,
    customers: int,
    rate: float | None,
    connections: int,
    workers: int,
    seconds: float,
    busy: bool,
    seed: int,
    as_json: bool,
) -> None:
    """Measure /v1/recommend: saturated, open loop at --rate, and against a bare baseline.

    By default two workers, each bound to a core, as on a machine of two cores that does nothing
    else; store, broker and load generator share these cores. With --workers 1 the server has core
    0 and everything else core 1. The baseline has the same number of workers, bound the same way.

    Then, at half of --rate: while a model is swapped, while training runs at low priority, and
    while 1,000 events/s are folded. All is measured three times; the medians count. Fails under
    2,500 requests/s saturated or 0.7 of the baseline (half of both with more than 10,000 items),
    where the open loop's p50 reaches 3 ms or its p99 10 ms, where p99 reaches 25 ms beside other
    work, or where an answer failed or fell back.
    """
    part = 1.0 if items <= FEW_ITEMS else 0.5
    plan = Plan(items, customers, rate or RATE * part, connections, workers, seconds, seed)
    shown = {name: getattr(plan, name) for name in Plan.__slots__} | {"busy": busy}
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
                pin_beside(pid, plan.workers)
            report.say("filling catalogue and profiles, training")
            files = _fill(report, servers.settings, plan, folder)
            Measuring(report, servers, plan, files, folder).measure(busy=busy)


def _fill(report: Report, settings: Settings, plan: Plan, folder: Path) -> tuple[Path, Path]:
    key = asyncio.run(_make_key(settings))
    shop = data.Shop(plan.items, plan.seed)
    asyncio.run(data.publish_catalogue(settings, shop))
    shape = asyncio.run(topic_shape(settings, EVENTS.named(settings.namespace)))
    data.write_profiles(settings, shop, plan.customers, shape, real_now_ms())
    report.add(parts=models.write_models(settings, shop, plan.seed, report.say))
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


class Measuring:
    """The measurements of one run of the command."""

    def __init__(
        self,
        report: Report,
        servers: Servers,
        plan: Plan,
        files: tuple[Path, Path],
        folder: Path,
    ) -> None:
        self._report = report
        self._servers = servers
        self._plan = plan
        self._folder = folder
        self._port, self._bare_port = free_ports(2)
        self._variables = {
            **environment(servers.settings),
            "ATTUNE_RECOMMEND_PORT": str(self._port),
            "ATTUNE_RECOMMEND_WORKERS": str(plan.workers),
            "ATTUNE_RECOMMEND_MODEL_POLL_S": "0.5",
        }
        self._ready = f"http://127.0.0.1:{self._port}/health/ready"
        self._closed, self._opened, self._bare = self._jobs(*files)
        self._runs: dict[str, list[Taken]] = {"saturated": [], "open_loop": [], "baseline": []}

    def _jobs(self, asked: Path, bare: Path) -> tuple[Job, Job, Job]:
        """Saturated, open loop, and the baseline's."""
        closed = Job(
            port=self._port,
            requests=str(asked),
            connections=self._plan.connections,
            warm_s=WARM_S,
            seconds=self._plan.seconds,
            expected=NONE,
        )
        return (
            closed,
            msgspec.structs.replace(closed, connections=OPEN_CONNECTIONS, rate=self._plan.rate),
            msgspec.structs.replace(closed, port=self._bare_port, requests=str(bare), expected=""),
        )

    def measure(self, *, busy: bool) -> None:
        """Everything, into the report."""
        serving = ["-m", "services.cli", "recommend"]
        for turn in range(1, RUNS + 1):
            self._turn(turn, serving)
        self._conclude()
        if busy:
            self._beside_other_work(serving)
        counts = self._folder / "samples.json"
        sampled = ["-m", "services.commands.bench.sampled", str(counts)]
        workers = self._plan.workers
        with server(sampled, self._variables, self._ready, self._folder, workers) as pids:
            take(self._closed, pids)
        samples = msgspec.json.decode(counts.read_bytes(), type=dict[str, int])
        total = sum(samples.values()) or 1
        shares = sorted(samples.items(), key=lambda entry: -entry[1])
        self._report.add(share={part: round(count / total, 3) for part, count in shares})

    def _turn(self, turn: int, serving: list[str]) -> None:
        runs, folder, workers = self._runs, self._folder, self._plan.workers
        bare = ["-m", BASELINE, str(self._bare_port), self._servers.settings.redis, str(workers)]
        bare_ready = f"http://127.0.0.1:{self._bare_port}/openapi.json"
        with server(bare, {}, bare_ready, folder, workers) as pids:
            runs["baseline"].append(take(self._bare, pids))
        with server(serving, self._variables, self._ready, folder, workers) as pids:
            runs["saturated"].append(take(self._closed, pids))
            runs["open_loop"].append(take(self._opened, pids))
        saturated, opened, baseline = (runs[name][-1].outcome for name in runs)
        self._report.say(
            f"run {turn}: {saturated.requests_per_second:,.0f} requests/s saturated, "
            f"{baseline.requests_per_second:,.0f} baseline, open loop p99 {opened.p99:.1f} ms"
        )

    def _conclude(self) -> None:
        report, plan, runs = self._report, self._plan, self._runs
        saturated, opened, bare = (median(runs[name]) for name in runs)
        ratio = round(saturated["requests_per_second"] / bare["requests_per_second"], 3)
        report.add(
            saturated=saturated,
            open_loop={
                "rate": plan.rate,
                "achieved": opened["requests_per_second"],
                **{name: opened[name] for name in KEYS[1:]},
            },
            baseline={name: bare[name] for name in ("requests_per_second", "p99")},
            ratio=ratio,
            cpu_us_per_request={
                name: statistics.median(run.cpu_us for run in found) for name, found in runs.items()
            },
            runs={
                name: [msgspec.to_builtins(run.outcome) for run in found]
                for name, found in runs.items()
            },
        )
        least = LEAST_SATURATED * plan.part
        report.check("saturated", saturated["requests_per_second"] >= least)
        report.check("ratio", ratio >= LEAST_RATIO * plan.part)
        report.check("open_loop_rate", opened["requests_per_second"] >= 0.98 * plan.rate)
        report.check("open_loop_p50", opened["p50"] < MOST_P50_MS)
        report.check("open_loop_p99", opened["p99"] < MOST_P99_MS)
        for name in ("errors", "fallbacks"):
            report.check(name, saturated[name] == 0 and opened[name] == 0)

    def _beside_other_work(self, serving: list[str]) -> None:
        settings, plan = self._servers.settings, self._plan
        with server(serving, self._variables, self._ready, self._folder, plan.workers) as pids:
            job = msgspec.structs.replace(self._opened, rate=plan.rate / 2)
            promote = partial(models.promote, settings)
            versions = models.VERSIONS
            say = self._report.say
            found = measure_busy(
                Busy(settings, job, pids, self._folder, versions, promote, say), RUNS
            )
        self._report.add(busy={"rate": plan.rate / 2, **found})
        for name, part in found.items():
            self._report.check(f"{name}_p99", part["p99"] < MOST_BUSY_P99_MS)
            self._report.check(f"{name}_errors", part["errors"] == 0)
            self._report.check(f"{name}_fallbacks", part["fallbacks"] == 0)
        folded = found["folding"]["events_per_second"]
        self._report.check("folding_rate", folded >= 0.9 * EVENTS_PER_S)
