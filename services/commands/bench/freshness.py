"""`attune bench freshness`: how long until an event shows in the answer to the next question.

Events arrive at the collector in an open loop, from many customers. A sample of them are probes:
each is followed by questions to /v1/recommend until the answer's profile contains it. The time runs
from the moment the probe's request leaves this client (the collector accepts it later), so what is
printed is never less than the freshness it stands for.
"""

import asyncio
import gc
import os
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import click
import msgspec
import uvloop

from services.commands.bench.cpu_time import cores_used, cpu_seconds
from services.commands.bench.http_load import Job, Outcome
from services.commands.output import Report, json_option
from services.local.servers import Servers, best_servers
from services.local.system import System, private_settings, running_system
from services.simulator.client import Addresses, AttuneClient
from services.simulator.clock import BusinessClock
from services.simulator.latencies import percentile
from services.simulator.probe import FreshnessProbe
from services.simulator.world import build
from shared.errors import Unavailable

BOUND_MS: Final = 100.0
BOUND_RATE: Final = 500
PROBES_PER_S: Final = 25.0
PROBE_SHARE: Final = 0.2
"""At most this share of the events are probes."""
PROBE_VISITORS: Final = 400
CUSTOMERS: Final = 20_000
WARM_UP_S: Final = 5.0
RAMP_S: Final = 1.5
"""Until the load generator has started and its events flow."""
CONNECTIONS: Final = 64
TICK_S: Final = 0.005
PACE_S: Final = 0.002
MEASURED: Final = (
    "from sending the event to the first answer of /v1/recommend whose profile contains it, "
    "for a sample of the events; real time, seen by the client"
)


@click.command()
@click.option(
    "--rate",
    type=click.IntRange(1, 20_000),
    default=BOUND_RATE,
    show_default=True,
    help="Events/s.",
)
@click.option("--runs", type=click.IntRange(3, 20), default=3, show_default=True)
@click.option(
    "--seconds",
    type=click.FloatRange(2, 600),
    default=15.0,
    show_default=True,
    help="How long each run measures.",
)
@click.option("--seed", type=int, default=1, show_default=True)
@json_option
def command(rate: int, runs: int, seconds: float, seed: int, as_json: bool) -> None:
    """From an accepted click to an answer that contains it, in real time.

    Exit 1 when p99 is not under 100 ms (at rates up to 500), or when the rate was not reached.
    """
    settings = {"rate": rate, "runs": runs, "seconds": seconds}
    with (
        Report("bench freshness", as_json=as_json, seed=seed, settings=settings) as report,
        tempfile.TemporaryDirectory(prefix="attune-bench-") as name,
    ):
        folder = Path(name)
        report.say("starting the log, the store and the services")
        with best_servers(folder, private_settings(folder)) as servers:
            report.machine(broker=servers.broker, store=servers.store)
            results = uvloop.run(_measure(folder, servers, report, rate, runs, seconds, seed))
        _conclude(report, rate, results)


async def _measure(
    folder: Path,
    servers: Servers,
    report: Report,
    rate: int,
    runs: int,
    seconds: float,
    seed: int,
) -> list[dict[str, Any]]:
    items = build("default", seed).items
    async with running_system(folder, servers) as system:
        await system.load_catalogue([item.as_catalogue() for item in items])
        ids = [item.id for item in items]
        gc.freeze()
        await _run(system, folder, ids, rate, WARM_UP_S, seed)
        results = []
        for number in range(1, runs + 1):
            results.append(await _run(system, folder, ids, rate, seconds, seed + number))
            system.processes.check()
            report.say(f"run {number} of {runs}: {results[-1]}")
        return results


async def _run(
    system: System, folder: Path, items: list[str], rate: int, seconds: float, seed: int
) -> dict[str, Any]:
    """One run: load at `rate` including probes, for `seconds`."""
    addresses = Addresses(
        system.collector, system.recommend, system.keys.server, system.keys.browser
    )
    probes = min(PROBES_PER_S, rate * PROBE_SHARE)
    job = _job(system, folder / "requests.json", items, rate - probes, seconds, seed)
    stop = asyncio.Event()
    async with AttuneClient.open(addresses) as client, _load(job) as load:
        probe = FreshnessProbe(client, BusinessClock(), items, seed=seed, visitors=PROBE_VISITORS)
        before = cpu_seconds(_processes(system, load))
        asyncio.get_running_loop().call_later(seconds, stop.set)
        lag, _ = await asyncio.gather(_lag(stop), probe.run(probes, stop))
        after = cpu_seconds(_processes(system, load))
        answer, _ = await load.communicate()
    if load.returncode:
        raise Unavailable("the load generator failed; see its message on standard error")
    outcome = msgspec.json.decode(answer, type=Outcome)
    fresh, accepted = probe.result.visible_ms, probe.result.accepted_ms
    return {
        "p50": _ms(percentile(fresh, 0.5)),
        "p99": _ms(percentile(fresh, 0.99)),
        "n": len(fresh),
        "max": _ms(percentile(fresh, 1.0)),
        "late": probe.result.late,
        "accepted_p50": _ms(percentile(accepted, 0.5)),
        "accepted_p99": _ms(percentile(accepted, 0.99)),
        "achieved": round(outcome.requests_per_second + len(accepted) / seconds, 1),
        "errors": outcome.errors + outcome.fallbacks + client.traffic.errors.total(),
        "client_lag_p99": _ms(percentile(lag, 0.99)),
        "cores": cores_used(before, after, seconds),
    }


def _job(
    system: System, file: Path, items: list[str], rate: float, seconds: float, seed: int
) -> Job:
    """Item views of many customers, each event once, as whole requests in a file."""
    random = Random(seed)
    collector = urlsplit(system.collector)
    head = (
        f"POST /v1/events HTTP/1.1\r\nHost: {collector.netloc}\r\n"
        f"Authorization: Bearer {system.keys.server}\r\nContent-Type: application/json\r\n"
    )
    requests = []
    for _ in range(int(rate * (RAMP_S + seconds + 2))):
        event = {
            "type": "item_viewed",
            "event_id": f"{random.getrandbits(96):024x}",
            "customer": f"customer-{random.randrange(CUSTOMERS)}",
            "item": random.choice(items),
        }
        body = msgspec.json.encode(event).decode()
        requests.append(f"{head}Content-Length: {len(body)}\r\n\r\n{body}")
    file.write_bytes(msgspec.json.encode(requests))
    return Job(
        port=collector.port or 80,
        requests=str(file),
        connections=CONNECTIONS,
        warm_s=RAMP_S,
        seconds=seconds,
        expected='"accepted"',
        rate=rate,
        tick_s=PACE_S,
    )


@asynccontextmanager
async def _load(job: Job) -> AsyncIterator[asyncio.subprocess.Process]:
    """The load generator, a process of its own so that it does not disturb the measuring one.

    Entered once its events flow; ended at the latest when left.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "services.commands.bench.http_load",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdin is not None  # noqa: S101
        process.stdin.write(msgspec.json.encode(job))
        process.stdin.write_eof()
        await asyncio.sleep(RAMP_S)
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _lag(stop: asyncio.Event) -> list[float]:
    """How late this process's own event loop wakes, ms: what it measures is late by as much."""
    late = []
    while not stop.is_set():
        before = time.perf_counter()
        await asyncio.sleep(TICK_S)
        late.append((time.perf_counter() - before - TICK_S) * 1000)
    return late


def _processes(system: System, load: asyncio.subprocess.Process) -> dict[str, int]:
    services = {name: system.processes.pid(name) for name in system.processes.names}
    servers = {"broker": system.servers.broker_pid, "store": system.servers.store_pid}
    return services | servers | {"load": load.pid, "probes": os.getpid()}


def _conclude(report: Report, rate: int, results: list[dict[str, Any]]) -> None:
    p50, p99, lag, achieved = (
        statistics.median(result[name] for result in results)
        for name in ("p50", "p99", "client_lag_p99", "achieved")
    )
    report.add(
        p50=p50,
        p99=p99,
        n=sum(result["n"] for result in results),
        rate=rate,
        achieved=achieved,
        client_lag_p99=lag,
        measured=MEASURED,
        runs=results,
    )
    report.check("rate", achieved >= 0.95 * rate)
    if rate <= BOUND_RATE:
        report.check("p99", p99 < BOUND_MS)


def _ms(value: float | None) -> float:
    return float("inf") if value is None else round(value, 3)
