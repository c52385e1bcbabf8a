"""What `attune bench ingest` sees of processes at work: applied facts, stages, CPU and memory."""

import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from services.commands.bench.cpu_time import Seconds, cpu_seconds
from services.local.guard import Guarded
from shared.errors import Unavailable

STAGES: Final = ("decode", "load", "fold", "store", "publish", "commit")
POLL_S: Final = 0.1
MEMORY_S: Final = 1.0
LEAST_RATE: Final = 1_000
"""Events a second below which a run has failed."""
PATIENCE_S: Final = 120.0


@dataclass(frozen=True, slots=True)
class Service:
    """A process of ours, under its name in the report."""

    name: str
    process: Guarded
    port: int


@dataclass(frozen=True, slots=True)
class Sample:
    """All of them at one moment: facts applied so far, and seconds by stage and by process."""

    at: float
    applied: float
    stages: dict[str, float]
    cpu: Seconds


@dataclass(slots=True)
class Watched:
    """Services and servers while a backlog is drained. `profiles` are those that apply facts."""

    profiles: Sequence[Service]
    others: Mapping[str, int]
    """Process ids of what else is at work, by name."""
    rss_mb: dict[str, dict[str, float]] = field(default_factory=dict)
    _next_memory: float = 0.0

    def until(self, applied: int) -> Sample:
        """The first sample with so many facts applied. Raises Unavailable when none comes."""
        deadline = time.monotonic() + PATIENCE_S + applied / LEAST_RATE
        while True:
            for service in self.profiles:
                if not service.process.alive():
                    raise Unavailable(f"{service.name} ended; its log is {service.process.log}")
            self._weigh()
            sample = self._sample()
            if sample.applied >= applied:
                return sample
            if time.monotonic() > deadline:
                raise Unavailable(f"only {sample.applied:.0f} of {applied} facts were applied")
            time.sleep(POLL_S)

    @property
    def _pids(self) -> dict[str, int]:
        return {each.name: each.process.pid for each in self.profiles} | dict(self.others)

    def _sample(self) -> Sample:
        applied, stages = 0.0, dict.fromkeys(STAGES, 0.0)
        for service in self.profiles:
            for name, labels, value in metrics_of(service.port):
                if name == "attune_profile_facts_total":
                    applied += value
                elif name == "attune_profile_batch_seconds_sum":
                    stages[labels["stage"]] = stages.get(labels["stage"], 0.0) + value
        return Sample(time.monotonic(), applied, stages, cpu_seconds(self._pids))

    def _weigh(self) -> None:
        """Resident memory once a second: the first, the largest and the last of each process."""
        now = time.monotonic()
        if now < self._next_memory:
            return
        self._next_memory = now + MEMORY_S
        for name, pid in self._pids.items():
            size = _resident_mb(pid)
            seen = self.rss_mb.setdefault(name, {"first": size, "max": size, "last": size})
            seen["max"], seen["last"] = max(seen["max"], size), size

    def forget_memory(self) -> None:
        """Begins the account of memory anew, without what was weighed while services started."""
        self.rss_mb.clear()
        self._next_memory = 0.0


def metrics_of(port: int) -> list[tuple[str, dict[str, str], float]]:
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


def _resident_mb(pid: int) -> float:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmRSS:")), 0.0)
