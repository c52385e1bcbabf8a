"""Prometheus series of the profile service. No identity ever becomes a label."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram, Info

FACTS: Final = Counter("attune_profile_facts_total", "Facts delivered, by verdict", ["verdict"])
MALFORMED: Final = Counter(
    "attune_profile_malformed_total", "Records in events that are no facts (skipped)"
)
CONFLICTS: Final = Counter(
    "attune_profile_conflicts_total", "Writes refused because somebody else wrote first"
)
OVERFLOWS: Final = Counter(
    "attune_profile_dedupe_overflow_total", "Identities whose event-id window ran over"
)
CROWDED: Final = Counter(
    "attune_profile_absorbed_overflow_total",
    "Customers whose list of absorbed anonymous ids became full",
)
MESSAGES: Final = Counter(
    "attune_profile_messages_total",
    "Verdicts of the arbiter",
    ["scenario", "channel", "verdict", "reason"],
)
EXPIRED: Final = Counter(
    "attune_profile_messages_expired_total",
    "Verdicts folded after the end of their message's life, and so not published",
    ["scenario", "channel", "verdict"],
)
CLOCK_LEAPS: Final = Counter(
    "attune_profile_clock_leaps_total",
    "Leaps of the machine's clock, none believed at once",
)
TOO_LARGE: Final = Counter(
    "attune_profile_too_large_total",
    "Records that the log refused for their size: facts wait, messages become dead letters",
    ["what"],
)
NOTED: Final = Counter(
    "attune_profile_moments_noted_total", "Moments that facts and items began", ["scenario"]
)
DROPPED: Final = Counter(
    "attune_profile_moments_dropped_total",
    "Moments passed over in silence when they were due",
    ["scenario", "reason"],
)
DECIDE: Final = Histogram(
    "attune_profile_decide_seconds",
    "Real time of deciding all that is due for one customer",
    buckets=(0.00002, 0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.005, 0.05),
)
TIMERS_LATE: Final = Histogram(
    "attune_profile_timer_late_seconds",
    "How late timers fire, in business time",
    buckets=(0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)
AGE: Final = Histogram(
    "attune_profile_event_age_seconds",
    "Real time from acceptance of an event to its applied profile",
    buckets=(0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1, 5, 60),
)
BATCH: Final = Histogram(
    "attune_profile_batch_seconds",
    "Time of a batch, by stage",
    ["stage"],
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1),
)
MODELS: Final = Counter(
    "attune_profile_models_total", "Model versions promoted while it ran, by outcome", ["outcome"]
)
PAUSED: Final = Gauge(
    "attune_profile_paused", "1 while no facts are read because store or log are away"
)
LAG: Final = Gauge("attune_profile_lag", "Facts not yet read", ["partition"])
CACHED: Final = Gauge("attune_profile_cached_identities", "Identities held in memory")
RETRIES: Final = Counter(
    "attune_profile_retries_total", "Batches taken up again because something failed", ["what"]
)
STORE_KEEPS: Final = Gauge(
    "attune_profile_store_keeps_writes",
    "1 while Redis keeps what it is told as promised; at 0 no offset is committed",
)
CATALOGUE_ITEMS: Final = Gauge("attune_profile_catalogue_items", "Items known from the catalogue")
ITEM_CHANGES: Final = Gauge(
    "attune_profile_item_changes",
    "Changes of items not looked at yet, of the partition furthest behind",
)
ITEM_CUSTOMERS: Final = Gauge(
    "attune_profile_item_customers", "Customers still to be asked about changes of items"
)
ITEM_MOMENTS: Final = Counter(
    "attune_profile_item_moments_total", "Customers for whom a change of an item may be a moment"
)
ITEM_CHANGES_LOST: Final = Counter(
    "attune_profile_item_changes_lost_total",
    "Times that a partition was so far behind that changes of items were passed over",
)
PAYLOADS: Final = Counter(
    "attune_profile_payloads_total",
    "Messages that items were asked for, by what came: items; empty, late, refused, away; resting, "
    "off: recommend was not asked",
    ["outcome"],
)
SCENARIOS: Final = Info("attune_profile_scenarios", "The version of the scenarios in force")
SCENARIOS_REFUSED: Final = Gauge(
    "attune_profile_scenarios_refused",
    "1 while the scenarios file is refused and the last good version stays in force",
)
SCENARIOS_RELOADS: Final = Counter(
    "attune_profile_scenarios_reloads_total",
    "Changes of the scenarios file, by outcome",
    ["outcome"],
)
EXPRESSIONS_FAILED: Final = Counter(
    "attune_profile_expressions_failed_total",
    "Conditions and values that failed while they ran, and so counted as false or 0",
)
