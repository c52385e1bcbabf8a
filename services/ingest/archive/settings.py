"""Settings of the archive service, beside the shared ones (ATTUNE_ARCHIVE says where it writes)."""

from dataclasses import dataclass

from shared.errors import SettingsError
from shared.settings import FromEnvironment


@dataclass(frozen=True, slots=True)
class ArchiveSettings(FromEnvironment):
    """Read from `ATTUNE_ARCHIVE_*`.

    port: health and metrics. max_rows, max_bytes and max_wait_s: records of a topic are written
    once they are that many, that large or that old, which bounds memory. compact_every_s: how often
    small files are joined. retention_hours: how long files that were replaced are kept for readers
    of an older version. instance_id: static membership of the consumer group.
    """

    prefix = "ATTUNE_ARCHIVE_"

    port: int = 9103
    max_rows: int = 50_000
    max_bytes: int = 67_108_864
    max_wait_s: float = 30.0
    compact_every_s: float = 3_600.0
    retention_hours: int = 168
    instance_id: str = ""
    log_level: str = "info"

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise SettingsError("ATTUNE_ARCHIVE_PORT: 0 to 65535")
        if not 1 <= self.max_rows <= 1_000_000:
            raise SettingsError("ATTUNE_ARCHIVE_MAX_ROWS: 1 to 1000000")
        if not 1 <= self.max_bytes <= 1 << 30:
            raise SettingsError("ATTUNE_ARCHIVE_MAX_BYTES: 1 to 1073741824")
        if not 0 < self.max_wait_s <= 3_600:
            raise SettingsError("ATTUNE_ARCHIVE_MAX_WAIT_S: more than 0, up to 3600")
        if self.compact_every_s <= 0:
            raise SettingsError("ATTUNE_ARCHIVE_COMPACT_EVERY_S: more than 0")
        if self.retention_hours < 1:
            raise SettingsError("ATTUNE_ARCHIVE_RETENTION_HOURS: at least 1")
