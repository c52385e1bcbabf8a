"""Settings of ingest and the collector, beside the shared ones."""

from dataclasses import dataclass

from services.ingest.money import EXPONENTS
from shared.errors import SettingsError
from shared.settings import FromEnvironment


@dataclass(frozen=True, slots=True)
class IngestSettings(FromEnvironment):
    """Read from `ATTUNE_INGEST_*`.

    port: health and metrics. currency: what amounts are in where an event names none (empty: such
    amounts cannot be read). max_records: largest batch, which bounds memory. instance_id: static
    membership of the consumer group, so that a restart moves no partition.
    """

    prefix = "ATTUNE_INGEST_"

    port: int = 9101
    currency: str = ""
    max_records: int = 1000
    instance_id: str = ""
    log_level: str = "info"

    def __post_init__(self) -> None:
        if self.currency and self.currency not in EXPONENTS:
            raise SettingsError("ATTUNE_INGEST_CURRENCY: not a currency code of ISO 4217")
        if not 1 <= self.max_records <= 100_000:
            raise SettingsError("ATTUNE_INGEST_MAX_RECORDS: 1 to 100000")
        if not 0 <= self.port <= 65_535:
            raise SettingsError("ATTUNE_INGEST_PORT: 0 to 65535")

    @property
    def shop_currency(self) -> str | None:
        """The shop's currency, or None where it is not set."""
        return self.currency or None
