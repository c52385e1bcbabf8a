"""Prometheus series of the archive service."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

ROWS: Final = Counter("attune_archive_rows_total", "Records archived, by topic.", ["topic"])
LOST: Final = Counter(
    "attune_archive_lost_records_total",
    "Records that the log had dropped before they were archived, by topic.",
    ["topic"],
)
LAG: Final = Gauge(
    "attune_archive_lag", "Records of the log not archived yet.", ["topic", "partition"]
)
LAST_COMMIT: Final = Gauge(
    "attune_archive_last_commit_timestamp_seconds",
    "When rows were last committed, or the service started.",
    ["topic"],
)
COMMIT_SECONDS: Final = Histogram(
    "attune_archive_commit_seconds",
    "Writing rows and committing them.",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180),
)
FAILURES: Final = Counter(
    "attune_archive_failures_total",
    "Steps that failed and are taken up again, by kind (archive_conflict: another archive service "
    "had written the same records).",
    ["kind"],
)
COMPACTED: Final = Counter(
    "attune_archive_compacted_files_total", "Small files that were joined, by topic.", ["topic"]
)
