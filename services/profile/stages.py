"""Where the loop's time goes: seconds by stage, for metrics and `attune bench ingest`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from services.profile import metrics


class Stages:
    """Wall seconds spent in each stage by this process."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Adds the time of the block to a stage."""
        started = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - started
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent
            metrics.BATCH.labels(stage).observe(spent)
