"""Prometheus series of the recommend service, all in one place."""

from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from shared.decisions import Fallback

PREFIX: Final = "attune_recommend_"
MOST_PLACEMENTS: Final = 50
MOST_UNCOUNTED: Final = 100
OTHER: Final = "other"
LATENCY_BUCKETS: Final = (
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.1, 0.25, 1.0,
)  # fmt: skip
AGE_BUCKETS: Final = (
    0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 60, 600, 3_600, 86_400, 604_800,
)  # fmt: skip
SIZE_BUCKETS: Final = (0, 1, 3, 10, 30, 100, 300, 1_000)


class RecommendMetrics(Collector):
    """Series of one process. Placements beyond the first 50 names share the label `other`, so a
    caller's inventions cannot fill the memory; nothing personal is a label."""

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self.registry = registry
        self._uncounted: list[tuple[str, Fallback, float, int | None]] = []
        registry.register(self)
        self._answers()
        self._inputs()
        self.decisions_written = self._counter("decisions_written", "Decision records in the log.")
        self._decisions_dropped = self._counter(
            "decisions_dropped", "Decision records lost before the log.", "why"
        )
        self._model = Gauge(
            PREFIX + "model_info",
            "1 for the model in force.",
            ("name", "version"),
            registry=registry,
        )
        self._models_refused = self._counter(
            "models_refused", "Promoted models that were not taken up."
        )
        self._latencies: dict[tuple[str, Fallback], Histogram] = {}
        self._children: dict[str, Histogram] = {}
        self._placements: set[str] = set()
        self._gathered = 0

    def _answers(self) -> None:
        self._latency = self._histogram(
            "latency_seconds",
            "From the request's start to its answer.",
            LATENCY_BUCKETS,
            "placement",
            "fallback",
        )
        self._age = self._histogram(
            "event_to_offer_age_seconds",
            "Real time since the newest event in the profile that an offer rests on.",
            AGE_BUCKETS,
        )
        self._refused = self._counter("refused", "Requests refused, by error code.", "code")
        self._fallbacks = self._counter(
            "fallbacks", "Answers below the ladder's top, by rung.", "fallback"
        )

    def _inputs(self) -> None:
        self._store_errors = self._counter(
            "store_errors", "Reads of the store that gave nothing.", "kind"
        )
        self._sources = self._histogram(
            "candidates", "Candidates by source.", SIZE_BUCKETS, "source"
        )
        self._late = self._counter("late_sources", "Sources skipped for want of time.")

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(PREFIX + name, text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(PREFIX + name, text, labels, buckets=buckets, registry=self.registry)

    def watch(
        self,
        *,
        catalogue_items: Callable[[], float],
        decisions_waiting: Callable[[], float],
        key_ring_age_seconds: Callable[[], float],
    ) -> None:
        """Gauges that are read when Prometheus asks."""
        for name, text, read in (
            ("catalogue_items", "Items in the catalogue.", catalogue_items),
            ("decisions_waiting", "Records that wait for the log.", decisions_waiting),
            ("key_ring_age_seconds", "Since keys were last read.", key_ring_age_seconds),
        ):
            Gauge(PREFIX + name, text, registry=self.registry).set_function(read)

    def answered(
        self, placement: str, fallback: Fallback, seconds: float, age_ms: int | None
    ) -> None:
        """One answer went out. Counted with others, which costs a third; a scrape counts first."""
        self._uncounted.append((placement, fallback, seconds, age_ms))
        if len(self._uncounted) >= MOST_UNCOUNTED:
            self.collect()

    def collect(self) -> Iterable[Metric]:
        """Called by the registry before all series: brings them up to date, and has none itself."""
        answers, self._uncounted = self._uncounted, []
        for answer in answers:
            self._count(*answer)
        return ()

    def _count(
        self, placement: str, fallback: Fallback, seconds: float, age_ms: int | None
    ) -> None:
        child = self._latencies.get((placement, fallback))
        if child is None:
            child = self._latency_of(placement, fallback)
        child.observe(seconds)
        if fallback != "none":
            self._fallbacks.labels(fallback).inc()
        if age_ms is not None:
            self._age.observe(age_ms / 1_000)

    def _latency_of(self, placement: str, fallback: Fallback) -> Histogram:
        if placement not in self._placements:
            if len(self._placements) >= MOST_PLACEMENTS:
                placement = OTHER
            self._placements.add(placement)
        child = self._latency.labels(placement, fallback)
        if placement != OTHER:
            self._latencies[placement, fallback] = child
        return child

    def gathered(self, sources: dict[str, int]) -> None:
        """How many candidates each source gave; looks at one answer in 16, for its cost."""
        self._gathered += 1
        if self._gathered % 16 != 1:
            return
        for source, size in sources.items():
            child = self._children.get(source)
            if child is None:
                child = self._children[source] = self._sources.labels(source)
            child.observe(size)

    def refused(self, code: str) -> None:
        """A request was refused."""
        self._refused.labels(code).inc()

    def store_failed(self, kind: str) -> None:
        """A read gave nothing."""
        self._store_errors.labels(kind).inc()

    def skipped_source(self) -> None:
        """A source of candidates was not asked, for want of time."""
        self._late.inc()

    def dropped_decisions(self, why: str, count: int = 1) -> None:
        """Decision records are lost."""
        self._decisions_dropped.labels(why).inc(count)

    def model_in_force(self, name: str, version: str) -> None:
        """Another model answers from now on."""
        self._model.clear()
        self._model.labels(name, version).set(1)

    def refused_model(self) -> None:
        """A promoted version could not be read, or is damaged; the one before stays in force."""
        self._models_refused.inc()
