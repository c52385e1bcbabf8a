"""Prometheus series of ingest. No id of a customer or an event is ever a label."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

EVENTS_IN: Final = Counter(
    "attune_ingest_events_total", "Raw events read, by topic and format.", ["topic", "format"]
)
FACTS_OUT: Final = Counter(
    "attune_ingest_facts_total", "Facts written to events, by type.", ["type"]
)
DEAD_LETTERS: Final = Counter(
    "attune_ingest_dead_letters_total", "Raw events refused, by reason.", ["reason"]
)
RETRIES: Final = Counter(
    "attune_ingest_retries_total", "Steps repeated because the log did not answer.", ["step"]
)
PAUSED: Final = Gauge(
    "attune_ingest_paused", "1 while nothing is read because a step waits for the log."
)
LAG: Final = Gauge(
    "attune_ingest_consumer_lag", "Raw records not read yet, by partition.", ["topic", "partition"]
)
KNOWN_ITEMS: Final = Gauge("attune_ingest_known_items", "Items of the catalogue in memory.")
BATCH_SECONDS: Final = Histogram(
    "attune_ingest_batch_seconds",
    "From a batch being read to its offsets being committed.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
EVENT_AGE_SECONDS: Final = Histogram(
    "attune_ingest_event_age_seconds",
    "From an event being accepted to its fact being acknowledged in events.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60, 600),
)
