"""`attune recommend` under a sampling profiler: where its CPU time goes, by part of the path.

Run as a process by `attune bench recommend`: `python -m services.commands.bench.sampled FILE`.
A timer of CPU time interrupts; the innermost frame of a known part is counted.
"""

import atexit
import signal
import sys
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Final

import msgspec

from services.recommend.main import command

INTERVAL_S: Final = 0.001
PARTS: Final = (
    ("/recommend/candidates/", "candidates"),
    ("/recommend/availability", "policy"),
    ("/recommend/policy", "policy"),
    ("/recommend/features", "rank"),
    ("/recommend/ranking", "rank"),
    ("/recommend/explain", "explain"),
    ("/recommend/grounds", "explain"),
    ("/recommend/store", "store"),
    ("/redis/", "store"),
    ("/recommend/decision_log", "decisions"),
    ("/aiokafka/", "decisions"),
    ("/shared/bus", "decisions"),
    ("/recommend/live", "background"),
    ("/recommend/statistics", "background"),
    ("/recommend/popularity", "candidates"),
    ("/recommend/numbers", "candidates"),
    ("/recommend/metrics", "metrics"),
    ("/prometheus_client/", "metrics"),
    ("/shared/decisions", "encode"),
    ("/recommend/request", "request"),
    ("/recommend/situation", "request"),
    ("/shared/auth", "request"),
    ("/shared/profile", "request"),
    ("/shared/packed", "request"),
    ("/recommend/pipeline", "pipeline"),
    ("/recommend/service", "pipeline"),
    ("/recommend/api", "http"),
    ("/uvicorn/", "http"),
    ("/starlette/", "http"),
    ("/fastapi/", "http"),
)


def main() -> None:
    """Serve until stopped, then write the counts."""
    target = Path(sys.argv[1])
    counts: Counter[str] = Counter()

    def sample(_number: int, frame: FrameType | None) -> None:
        while frame is not None:
            file = frame.f_code.co_filename
            for path, part in PARTS:
                if path in file:
                    counts[part] += 1
                    return
            frame = frame.f_back
        counts["other"] += 1

    atexit.register(lambda: target.write_bytes(msgspec.json.encode(counts)))
    signal.signal(signal.SIGPROF, sample)
    signal.setitimer(signal.ITIMER_PROF, INTERVAL_S, INTERVAL_S)
    command.main([], standalone_mode=False)
    signal.setitimer(signal.ITIMER_PROF, 0)


if __name__ == "__main__":
    main()
