"""Settings of the recommend service, from `ATTUNE_RECOMMEND_*`."""

from dataclasses import dataclass

from services.recommend.asking import Defaults
from shared.catalogue import Cap
from shared.errors import SettingsError
from shared.settings import FromEnvironment


@dataclass(frozen=True, slots=True)
class RecommendSettings(FromEnvironment):
    """store_deadline_ms: how long a request waits for its profile; deadline_ms: how long until
    it asks no further source of candidates; random_share, salt: the holdout (experiment.py);
    decision_buffer: decision records that may wait for the log, beyond which they are dropped and
    counted; model_poll_s: how often a newer model is looked for; explore_share, surprise, cap_times
    within cap_days (0: no cap), country: see asking.Defaults."""

    prefix = "ATTUNE_RECOMMEND_"

    port: int = 8080
    workers: int = 1
    store_deadline_ms: int = 50
    deadline_ms: int = 100
    random_share: float = 0.0
    salt: str = "holdout-1"
    decision_buffer: int = 20_000
    model_poll_s: float = 2.0
    live_sessions: int = 200_000
    explore_share: float = 0.1
    surprise: float = 0.1
    cap_times: int = 10
    cap_days: int = 7
    country: str = ""
    cors_origins: str = "*"
    stop_timeout_s: int = 10

    def __post_init__(self) -> None:
        if not 0.0 <= self.random_share <= 1.0:
            raise SettingsError("ATTUNE_RECOMMEND_RANDOM_SHARE: 0 to 1")
        if not (0.0 <= self.explore_share <= 1.0 and 0.0 <= self.surprise <= 1.0):
            raise SettingsError("ATTUNE_RECOMMEND_EXPLORE_SHARE, ATTUNE_RECOMMEND_SURPRISE: 0 to 1")
        if not (0 <= self.cap_times <= 1_000 and 1 <= self.cap_days <= 90):
            raise SettingsError(
                "ATTUNE_RECOMMEND_CAP_TIMES: 0 to 1000; ATTUNE_RECOMMEND_CAP_DAYS: 1 to 90"
            )
        if self.country and not (len(self.country) == 2 and self.country.isupper()):
            raise SettingsError("ATTUNE_RECOMMEND_COUNTRY: two capital letters, or empty")
        if not 1 <= self.store_deadline_ms <= self.deadline_ms <= 10_000:
            raise SettingsError(
                "ATTUNE_RECOMMEND_STORE_DEADLINE_MS: 1 up to ATTUNE_RECOMMEND_DEADLINE_MS"
            )
        if not 1 <= self.workers <= 64:
            raise SettingsError("ATTUNE_RECOMMEND_WORKERS: 1 to 64")
        if self.decision_buffer < 1 or self.live_sessions < 1_000 or self.model_poll_s <= 0:
            raise SettingsError(
                "ATTUNE_RECOMMEND_*: DECISION_BUFFER from 1, LIVE_SESSIONS from 1000, "
                "MODEL_POLL_S above 0"
            )
        if not 0 <= self.port <= 65_535:
            raise SettingsError("ATTUNE_RECOMMEND_PORT: 0 to 65535")

    def defaults(self) -> Defaults:
        """What holds where neither the request nor its placement says it."""
        cap = Cap(times=self.cap_times, days=self.cap_days) if self.cap_times else None
        return Defaults(
            surprise=self.surprise,
            explore=self.explore_share,
            cap=cap,
            country=self.country or None,
        )
