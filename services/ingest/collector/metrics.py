"""Prometheus series of the collector. No label holds a customer, a key or a path a client chose."""

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
EVENTS_PER_REQUEST: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000)


class CollectorMetrics:
    """One set of series a process; `registry` is what /metrics shows."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self.requests = Counter(
            "attune_collector_requests_total",
            "Requests answered, by endpoint and status.",
            ("endpoint", "status"),
            registry=self.registry,
        )
        self.events = Counter(
            "attune_collector_events_total",
            "Events answered, by what became of them and the reason where they were refused.",
            ("status", "reason"),
            registry=self.registry,
        )
        self.request_seconds = Histogram(
            "attune_collector_request_seconds",
            "From the first byte of a request to its answer, acknowledgement included.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.ack_seconds = Histogram(
            "attune_collector_ack_seconds",
            "From handing a request's events to the log to its acknowledgement of all.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.batch_events = Histogram(
            "attune_collector_events_per_request",
            "Events that one request carried.",
            buckets=EVENTS_PER_REQUEST,
            registry=self.registry,
        )
        self.token_refusals = Counter(
            "attune_collector_identity_tokens_refused_total",
            "Identity tokens that proved nothing: forged, expired or of an unknown key.",
            registry=self.registry,
        )

    def watch(
        self,
        *,
        events: Callable[[], float],
        bytes_: Callable[[], float],
        key_ring_age_s: Callable[[], float],
    ) -> None:
        """Gauges that are read when Prometheus asks."""
        for name, help_, read in (
            ("attune_collector_in_flight_events", "Events held, not yet acknowledged.", events),
            ("attune_collector_in_flight_bytes", "Bytes of bodies held.", bytes_),
            (
                "attune_collector_key_ring_age_seconds",
                "Seconds since the keys were last read from SQL.",
                key_ring_age_s,
            ),
        ):
            Gauge(name, help_, registry=self.registry).set_function(read)
