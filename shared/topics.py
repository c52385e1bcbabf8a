"""The one registry of topics: name, what it carries, key, partitions, retention, cleanup.

Everything that produces or consumes takes its topic from here; `docs/asyncapi.yaml` is made of it.
"""

from dataclasses import dataclass
from typing import Final

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic as it stands on the broker. `partitions` None: the deployment's default."""

    name: str
    carries: str
    key: str
    retention_ms: int
    cleanup: str = "delete"
    partitions: int | None = None
    max_message_bytes: int = 1_048_576

    def named(self, namespace: str) -> str:
        """The name on the broker: several shops may share one, each with its namespace."""
        return named(self.name, namespace)


def named(name: str, namespace: str) -> str:
    """The name of a topic or a consumer group on the broker: shops on one broker stay apart."""
    return f"{namespace}.{name}" if namespace else name


CLICKSTREAM: Final = Topic("clickstream", "raw behaviour events", "identity or none", 7 * DAY_MS)
PURCHASES: Final = Topic("purchases", "raw orders and refunds", "identity or none", 30 * DAY_MS)
DEAD_LETTERS: Final = Topic(
    "dead-letters", "raw events that were refused", "as received", 90 * DAY_MS
)
EVENTS: Final = Topic("events", "canonical facts", "identity", -1)
CATALOGUE: Final = Topic("catalogue", "item_changed", "item", -1, cleanup="compact", partitions=1)
DECISIONS: Final = Topic("decisions", "decision records", "decision id", 90 * DAY_MS)
SUPPRESSIONS: Final = Topic("suppressions", "messages not sent, and why", "customer", 30 * DAY_MS)

INGEST_GROUP: Final = "ingest"
PROFILE_GROUP: Final = "profile"
ARCHIVE_GROUP: Final = "archive"

CHANNELS: Final = ("email", "push", "sms", "onsite")


def triggers(channel: str) -> Topic:
    """The topic a channel's marketing tool subscribes to."""
    return Topic(f"triggers.{channel}", "CloudEvents to act on", "customer", 7 * DAY_MS)


RAW: Final = (CLICKSTREAM, PURCHASES)
ALL: Final = (
    *RAW,
    DEAD_LETTERS,
    EVENTS,
    CATALOGUE,
    DECISIONS,
    *(triggers(channel) for channel in CHANNELS),
    SUPPRESSIONS,
)
