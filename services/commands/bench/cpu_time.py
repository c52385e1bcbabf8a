"""How much processor time processes took, so that a benchmark can say who was busy."""

import os
from collections.abc import Mapping
from pathlib import Path

Seconds = dict[str, float]


def cpu_seconds(processes: Mapping[str, int]) -> Seconds:
    """User plus system seconds so far, by name; empty where the system has no /proc."""
    ticks = os.sysconf("SC_CLK_TCK")
    found: Seconds = {}
    for name, pid in processes.items():
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            continue
        # the name in parentheses may hold blanks
        fields = text.rpartition(")")[2].split()
        found[name] = (int(fields[11]) + int(fields[12])) / ticks
    return found


def cores_used(before: Seconds, after: Seconds, seconds: float) -> Seconds:
    """Cores that each process kept busy between two readings, `seconds` apart."""
    return {
        name: round((value - before[name]) / seconds, 3)
        for name, value in after.items()
        if name in before
    }
