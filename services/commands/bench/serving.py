"""Servers and load for `attune bench recommend`: started, pinned to cores, asked, weighed.

With one worker the server has core 0 for itself, and load, store and broker share the other. With
more, each worker is bound to a core of its own, as far as there are any, and everything else runs
where there is room: all that takes part in an answer shares the same cores.
"""

import os
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from services.commands.bench.cpu_time import cpu_seconds
from services.commands.bench.http_load import Job, Outcome
from services.local.guard import Guarded
from shared.errors import Unavailable

READY_S: Final = 90.0
STOP_S: Final = 15.0
REST_S: Final = 0.5
AT_REST: Final = 0.2
"""Share of a core that a server which has nothing to do may take."""
KEYS: Final = ("requests_per_second", "p50", "p99", "errors", "fallbacks")


@dataclass(frozen=True, slots=True)
class Taken:
    """One measurement; cpu_us: processor time of all workers a request."""

    outcome: Outcome
    cpu_us: float


@contextmanager
def server(
    arguments: Sequence[str], variables: Mapping[str, str], ready: str, folder: Path, workers: int
) -> Iterator[list[int]]:
    """The process ids of a server's workers, ready and at rest; stopped at the end, whatever ends
    this. A session of its own, as all services have: Linux shares out cores among sessions first
    (autogroup), and would count the server and the load as one. Raises Unavailable with its log's
    end."""
    log = folder / "server.log"
    log.unlink(missing_ok=True)
    process = Guarded.start([sys.executable, "-P", *arguments], log=log, environment=variables)
    try:
        deadline = time.monotonic() + READY_S
        while not _answers(ready):
            if not process.alive() or time.monotonic() > deadline:
                raise Unavailable(f"the server did not start: {log.read_text()[-600:]}")
            time.sleep(0.1)
        pids = _family(process.pid)
        while len(pids) < workers or not _at_rest(pids):
            if not process.alive() or time.monotonic() > deadline:
                raise Unavailable(f"not all workers started: {log.read_text()[-600:]}")
            pids = _family(process.pid)
        for place, pid in enumerate(pids):
            pin(pid, place % (os.cpu_count() or 1))
        yield pids
    finally:
        process.stop(STOP_S)


def _family(parent: int) -> list[int]:
    """A process and its children."""
    found = Path(f"/proc/{parent}/task/{parent}/children")
    children = found.read_text().split() if found.exists() else []
    return [parent, *map(int, children)]


def _at_rest(pids: Sequence[int]) -> bool:
    """Whether the workers have done what they do when they start; ready is said by one of them."""
    before = _seconds(pids)
    time.sleep(REST_S)
    return _seconds(pids) - before < AT_REST * REST_S * len(pids)


def _seconds(pids: Sequence[int]) -> float:
    return sum(cpu_seconds({str(pid): pid for pid in pids}).values())


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  (ours, on 127.0.0.1)
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def take(job: Job, pids: Sequence[int]) -> Taken:
    """One measurement of these workers. Raises Unavailable."""
    before = _seconds(pids)
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "services.commands.bench.http_load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    pin_beside(process.pid, len(pids))
    answer, _ = process.communicate(msgspec.json.encode(job))
    if process.returncode:
        raise Unavailable("the load generator failed; see its message on standard error")
    outcome = msgspec.json.decode(answer, type=Outcome)
    asked = outcome.requests_per_second * (job.warm_s + job.seconds)
    return Taken(outcome, round((_seconds(pids) - before) / max(asked, 1.0) * 1e6, 1))


def median(runs: Sequence[Taken]) -> dict[str, Any]:
    """Medians; of errors and fallbacks the sum, so that none is hidden."""
    medians: dict[str, Any] = {
        name: round(statistics.median(getattr(run.outcome, name) for run in runs), 3)
        for name in KEYS[:3]
    }
    return medians | {name: sum(getattr(run.outcome, name) for run in runs) for name in KEYS[3:]}


def pin_beside(pid: int, workers: int) -> None:
    """What is not a server worker keeps off the core of a single one."""
    if workers == 1:
        pin(pid, 1 if (os.cpu_count() or 1) > 1 else 0)


def pin(pid: int, core: int) -> None:
    """All threads of a process to one core, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        return
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {core})
