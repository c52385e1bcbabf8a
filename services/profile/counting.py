"""Moves the series of the profile loop once a batch is written."""

from collections.abc import Mapping

from services.profile import metrics
from services.profile.batch import Decoded, Effects
from services.profile.window import Verdict
from shared.clock import real_now_ms


def count_verdicts(decoded: Decoded, effects: Mapping[str, Effects]) -> None:
    """Verdicts, windows that ran over, and how old the new facts are by now."""
    now = real_now_ms()
    counted = dict.fromkeys(Verdict, 0)
    metrics.OVERFLOWS.inc(sum(effect.overflowed for effect in effects.values()))
    metrics.CROWDED.inc(sum(effect.crowded for effect in effects.values()))
    for key, effect in effects.items():
        for moment in effect.noted:
            metrics.NOTED.labels(moment.scenario).inc()
        for delivery, verdict in zip(decoded.deliveries[key], effect.verdicts, strict=True):
            counted[verdict] += 1
            if verdict is Verdict.NEW and delivery.accepted_at:
                metrics.AGE.observe(max(0, now - delivery.accepted_at) / 1000)
    for verdict, count in counted.items():
        metrics.FACTS.labels(verdict.value).inc(count)
