"""`attune bench recommend` while something else goes on: a model is swapped, training runs at low
priority, 1,000 events a second are folded into profiles.

An open loop at half the rate of the quiet one, each part as often as everything is measured.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, TypeAlias

from services.commands.bench.http_load import Job
from services.commands.bench.serving import KEYS, Taken, median, pin_beside, take
from services.commands.bench.watched import metrics_of
from services.commands.bench.workload import shop_facts
from services.local.guard import Guarded
from services.local.ports import free_port
from services.local.servers import environment
from shared.bus import Producer, ensure_topics
from shared.clock import real_now_ms
from shared.errors import Unavailable
from shared.events import encode, identity_key
from shared.settings import Settings
from shared.topics import EVENTS

EVENTS_PER_S: Final = 1_000
TURN_S: Final = 0.01
TRAINED_FACTS: Final = 150_000
START_S: Final = 60.0
SWAP_S: Final = 20.0
AGAIN: Final = """
import signal, subprocess, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
while True:
    subprocess.run(sys.argv[1:], check=True)
"""
"""Runs a command again and again; when it is ended, `run` ends the command, too."""
SWAPPED_AFTER: Final = 0.25
"""Share of a measurement after which the other version is promoted."""

Part: TypeAlias = tuple[Taken, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Busy:
    """What the parts work with. versions: two of the same content; promote: puts one in force."""

    settings: Settings
    job: Job
    pids: Sequence[int]
    folder: Path
    versions: tuple[str, str]
    promote: Callable[[str], None]
    say: Callable[[str], None]


def measure_busy(busy: Busy, runs: int) -> dict[str, dict[str, Any]]:
    """Each part's medians, and its runs."""
    found: dict[str, list[Part]] = {"swap": [], "training": [], "folding": []}
    asyncio.run(_fill_training(busy.settings))
    with ExitStack() as stack:
        metrics = _profile(busy, stack)
        for turn in range(runs):
            found["swap"].append(asyncio.run(_swap(busy, busy.versions[1 - turn % 2])))
            found["training"].append(_training(busy))
            found["folding"].append(asyncio.run(_folding(busy, metrics, turn)))
            p99 = {name: parts[-1][0].outcome.p99 for name, parts in found.items()}
            busy.say(f"busy run {turn + 1}: p99 ms {p99}")
    return {name: _concluded(parts) for name, parts in found.items()}


def _concluded(parts: list[Part]) -> dict[str, Any]:
    middle = median([taken for taken, _ in parts])
    extra = {name: statistics.median(known[name] for _, known in parts) for name in parts[0][1]}
    runs = [{name: getattr(taken.outcome, name) for name in KEYS} | known for taken, known in parts]
    return {name: middle[name] for name in KEYS[1:]} | extra | {"runs": runs}


async def _swap(busy: Busy, version: str) -> Part:
    """A version is promoted while requests come; how long until every worker answers with it."""
    measuring = asyncio.create_task(asyncio.to_thread(take, busy.job, busy.pids))
    await asyncio.sleep(busy.job.warm_s + busy.job.seconds * SWAPPED_AFTER)
    begun = time.monotonic()
    await asyncio.to_thread(busy.promote, version)
    while not await asyncio.to_thread(_in_force, busy.job.port, version):
        if time.monotonic() - begun > SWAP_S:
            raise Unavailable(f"the model {version} was not taken up")
        await asyncio.sleep(0.1)
    took = time.monotonic() - begun
    return await measuring, {"swapped_after_s": round(took, 2)}


def _in_force(port: int, version: str) -> bool:
    """Whether several looks, which reach any of the workers, all find the version."""
    return all(
        any(
            name == "attune_recommend_model_info" and labels["version"] == version and value == 1
            for name, labels, value in metrics_of(port)
        )
        for _ in range(4)
    )


async def _fill_training(settings: Settings) -> None:
    own = _training_settings(settings, Path())
    await ensure_topics(own)
    topic = EVENTS.named(own.namespace)
    async with Producer.open(own) as producer:
        for fact in shop_facts(TRAINED_FACTS, 1, real_now_ms()):
            await producer.send(topic, encode(fact), key=identity_key(fact).encode())
        await producer.flush()


def _training_settings(settings: Settings, folder: Path) -> Settings:
    """Training has a log and a model store of its own, so that nothing it does is taken up."""
    return replace(settings, namespace="trained", models=str(folder / "trained"))


def _training(busy: Busy) -> Part:
    """`attune train` at the lowest priority, again and again for as long as is measured."""
    log = busy.folder / "train.log"
    train = [sys.executable, "-m", "services.cli", "train", "--nice", "19"]
    trainer = Guarded.start(
        [sys.executable, "-c", AGAIN, *train],
        log=log,
        environment=environment(_training_settings(busy.settings, busy.folder)),
    )
    try:
        time.sleep(3.0)
        taken = take(busy.job, busy.pids)
        if not trainer.alive():
            raise Unavailable(f"training ended; its log is {log.read_text()[-600:]}")
        return taken, {}
    finally:
        trainer.stop()


def _profile(busy: Busy, stack: ExitStack) -> int:
    """A running profile service; the port of its metrics."""
    port = free_port()
    process = Guarded.start(
        [sys.executable, "-m", "services.cli", "profile", "--port", str(port)],
        log=busy.folder / "profile.log",
        environment=environment(busy.settings),
    )
    stack.callback(process.stop)
    pin_beside(process.pid, len(busy.pids))
    deadline = time.monotonic() + START_S
    while not metrics_of(port):
        if not process.alive() or time.monotonic() > deadline:
            raise Unavailable(f"profile did not start; its log is {process.log}")
        time.sleep(0.1)
    return port


async def _folding(busy: Busy, metrics: int, turn: int) -> Part:
    """1,000 events a second into `events`, folded by the profile service."""
    facts = shop_facts(10**7, 100 + turn, real_now_ms())
    topic = EVENTS.named(busy.settings.namespace)
    async with Producer.open(busy.settings) as producer:

        async def produce() -> None:
            loop = asyncio.get_running_loop()
            begun, sent = loop.time(), 0
            while True:
                due = int((loop.time() - begun) * EVENTS_PER_S) - sent
                for fact in islice(facts, due):
                    await producer.send(topic, encode(fact), key=identity_key(fact).encode())
                sent += due
                await asyncio.sleep(TURN_S)

        producing = asyncio.create_task(produce())
        before, begun = await asyncio.to_thread(_folded, metrics), time.monotonic()
        taken = await asyncio.to_thread(take, busy.job, busy.pids)
        folded = await asyncio.to_thread(_folded, metrics) - before
        took = time.monotonic() - begun
        producing.cancel()
        await asyncio.wait([producing])
        if not producing.cancelled() and (failure := producing.exception()):
            raise failure
    return taken, {"events_per_second": round(folded / took, 1)}


def _folded(port: int) -> float:
    return sum(value for name, _, value in metrics_of(port) if name == "attune_profile_facts_total")
