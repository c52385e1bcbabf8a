"""docs/metrics.md: every Prometheus series, from the modules that declare them.

Fails where a series has a label that is not explained here: each label's values are bounded, and
none is personal.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.metrics import MetricWrapperBase

import services.ingest.archive.metrics as archive
import services.ingest.metrics as ingest
import services.profile.metrics as profile
from services.ingest.collector.metrics import CollectorMetrics
from services.recommend.metrics import RecommendMetrics

LABELS: Final = {
    "channel": "of the message: a channel of the scenarios file",
    "code": "an error code of the API",
    "endpoint": "which of the collector's endpoints",
    "fallback": "the rung of the ladder, `none` for its top",
    "format": "of the raw event",
    "kind": "of the failure: a code from a fixed list",
    "name": "of the model",
    "outcome": "what became of it: a code from a fixed list",
    "partition": "of the topic",
    "placement": "of the request; the first 50 names, then `other`",
    "reason": "a code from a fixed list",
    "scenario": "a name of the scenarios file, or `*segments`, `*arms`",
    "source": "of candidates",
    "stage": "of the work",
    "status": "of the answer",
    "step": "that is repeated",
    "topic": "of the log, without the namespace",
    "type": "of the fact",
    "verdict": "of the guards (facts) or of the arbiter (messages)",
    "version": "of what is in force",
    "what": "a code from a fixed list",
    "why": "a code from a fixed list",
}


class Series(NamedTuple):
    """One of them; name: as it is exposed, before the suffixes of a histogram."""

    name: str
    kind: str
    labels: tuple[str, ...]
    text: str


def page() -> str:
    """The page, as Markdown."""
    parts = [
        "# Metrics",
        "",
        "What each service shows at `/metrics`, for Prometheus; a histogram as `_bucket`, `_sum` "
        "and `_count`. Alerts: [alerts.yml](../deploy/prometheus/alerts.yml). Made by `make docs`.",
    ]
    found = services()
    for service, series in found.items():
        parts += ["", f"## {service}", "", "| series | type | labels | |", "|---|---|---|---|"]
        parts += map(_row, series)
    used = {label for series in found.values() for each in series for label in each.labels}
    parts += ["", "## Labels", "", "| label | its values |", "|---|---|"]
    parts += [f"| `{label}` | {LABELS[label]} |" for label in sorted(used)]
    return "\n".join(parts) + "\n"


def services() -> dict[str, list[Series]]:
    """Service → its series."""
    of_collector, of_recommend = CollectorRegistry(), CollectorRegistry()
    collector, recommend = CollectorMetrics(of_collector), RecommendMetrics(of_recommend)
    collector.watch(events=_nothing, bytes_=_nothing, key_ring_age_s=_nothing)
    recommend.watch(
        catalogue_items=_nothing, decisions_waiting=_nothing, key_ring_age_seconds=_nothing
    )
    return {
        "Collector": _series(vars(collector), of_collector),
        "Ingest": _series(vars(ingest)),
        "Profile": _series(vars(profile)),
        "Recommend": _series(vars(recommend), of_recommend),
        "Archive": _series(vars(archive)),
    }


def _nothing() -> float:
    return 0.0


def _series(
    declared: Mapping[str, object], registry: CollectorRegistry | None = None
) -> list[Series]:
    """What a module or object holds, then what only its registry knows: gauges without labels."""
    held = [one for one in declared.values() if isinstance(one, MetricWrapperBase)]
    found = [_described(next(iter(one.describe())), tuple(one._labelnames)) for one in held]
    named = {each.name for each in found}
    others = () if registry is None else map(_described, registry.collect())
    return found + [each for each in others if each.name not in named]


def _described(family: Metric, labels: tuple[str, ...] = ()) -> Series:
    name = family.name + {"counter": "_total", "info": "_info"}.get(family.type, "")
    return Series(name, family.type, labels, family.documentation.rstrip("."))


def _row(series: Series) -> str:
    labels = ", ".join(f"`{label}`" for label in series.labels)
    return f"| `{series.name}` | {series.kind} | {labels} | {series.text} |"
