"""Settings of the collector alone: bounds on what it takes, holds and waits for."""

from dataclasses import dataclass

from shared.errors import SettingsError
from shared.settings import FromEnvironment


@dataclass(frozen=True, slots=True)
class CollectorSettings(FromEnvironment):
    """From `ATTUNE_COLLECTOR_*`. Sizes are bytes, times seconds.

    cors_origins: comma-separated origins of the shop's pages, or `*`. max_batch_bytes counts after
    decompression. in_flight_*: what may be held at once, all requests together, from reading a
    body to the log's acknowledgement; beyond it callers are told to come back. ack_timeout_s: how
    long the log may take. start_timeout_s: how long a broker may be away when the collector starts.
    """

    prefix = "ATTUNE_COLLECTOR_"

    port: int = 8081
    cors_origins: str = "*"
    max_event_bytes: int = 32 * 1024
    max_batch_bytes: int = 500 * 1024
    max_batch_events: int = 5_000
    in_flight_events: int = 50_000
    in_flight_bytes: int = 64 * 1024 * 1024
    ack_timeout_s: float = 5.0
    body_timeout_s: float = 20.0
    start_timeout_s: float = 60.0
    stop_timeout_s: int = 15

    def __post_init__(self) -> None:
        for name in ("max_event_bytes", "max_batch_events", "ack_timeout_s", "body_timeout_s"):
            if getattr(self, name) <= 0:
                raise SettingsError(f"{self.prefix}{name.upper()}: above 0")
        if not 0 <= self.port <= 65_535:
            raise SettingsError(f"{self.prefix}PORT: 0 to 65535")
        if self.max_batch_bytes < self.max_event_bytes:
            raise SettingsError(f"{self.prefix}MAX_BATCH_BYTES: at least MAX_EVENT_BYTES")
        # below these, no request of the allowed size could ever be taken
        if self.in_flight_bytes < 2 * self.max_batch_bytes:
            raise SettingsError(f"{self.prefix}IN_FLIGHT_BYTES: at least twice MAX_BATCH_BYTES")
        if self.in_flight_events < self.max_batch_events:
            raise SettingsError(f"{self.prefix}IN_FLIGHT_EVENTS: at least MAX_BATCH_EVENTS")

    @property
    def origins(self) -> list[str]:
        """The allowed origins."""
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]
