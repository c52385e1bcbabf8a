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
    ("/shared/direct_http", "http"),
    ("/uvicorn/", "http"),
    ("/recommend/api", "http"),
    ("/shared/auth", "http"),
    ("/recommend/request", "parse"),
    ("/recommend/asking", "parse"),
    ("/recommend/store", "read"),
    ("/redis/", "read"),
    ("/shared/profile", "read"),
    ("/shared/packed", "read"),
    ("/recommend/situation", "situate"),
    ("/recommend/numbers", "situate"),
    ("/recommend/candidates/", "gather"),
    ("/recommend/popularity", "gather"),
    ("/recommend/vectors/", "gather"),
    ("/recommend/similar/", "gather"),
    ("/recommend/availability", "policy"),
    ("/recommend/policy", "policy"),
    ("/recommend/filters", "policy"),
    ("/recommend/restrictions", "policy"),
    ("/recommend/seasons", "policy"),
    ("/recommend/ranker/", "trees"),
    ("/recommend/features", "features"),
    ("/recommend/ranking", "features"),
    ("/recommend/arrangement", "arrange"),
    ("/recommend/diversity", "arrange"),
    ("/recommend/exploration", "arrange"),
    ("/recommend/objective", "arrange"),
    ("/recommend/explain", "reasons"),
    ("/recommend/grounds", "reasons"),
    ("/recommend/offers", "reasons"),
    ("/shared/decisions", "encode"),
    ("/recommend/decision_log", "log"),
    ("/aiokafka/", "log"),
    ("/shared/bus", "log"),
    ("/recommend/metrics", "metrics"),
    ("/prometheus_client/", "metrics"),
    ("/recommend/live", "background"),
    ("/recommend/learning", "background"),
    ("/recommend/statistics", "background"),
    ("/recommend/catalogue/", "background"),
    ("/recommend/models/", "background"),
    ("/shared/models/", "background"),
    ("/recommend/pipeline", "pipeline"),
    ("/recommend/knowledge", "pipeline"),
    ("/recommend/service", "pipeline"),
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
