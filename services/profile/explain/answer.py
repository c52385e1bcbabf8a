"""What `attune scenarios explain` answers, as keys for scripts. Times are epoch ms."""

from msgspec import Struct

from services.profile.prediction import Prediction
from services.profile.scenarios.book import Scalar


class ConditionNow(Struct, frozen=True, kw_only=True):
    """An expression as it stands at the time of the verdict. values: its variables, null where
    nothing is known; depends_on: what of the moment it asks that is not known before it comes
    (event, item, order, timer); holds: null where that decides."""

    text: str
    holds: bool | None
    values: dict[str, Scalar]
    depends_on: list[str]


class MomentNow(Struct, frozen=True, kw_only=True):
    """A moment that waits for its time, or is held: all as of then. attempt: of the verdict that
    comes next; blocked_by: why it would be passed over or not be sent, null where it would go;
    depends_on: unless what is not known is against it; when: null where it was asked already."""

    state: str
    due: int
    expires_at: int
    attempt: int
    cause: str
    subject: str
    item: str
    blocked_by: str | None
    retry_at: int | None
    when: ConditionNow | None
    recheck: ConditionNow | None
    value: float | None
    depends_on: list[str]


class ScenarioNow(Struct, frozen=True, kw_only=True):
    """One scenario, as of now. begins: what it waits for; blocked_by: why a moment that came now
    would not be sent at once, null where it would, or where that depends on the moment; depends_on:
    on what of it; next: when its timer comes, where it is on one."""

    name: str
    begins: str
    blocked_by: str | None
    retry_at: int | None
    when: ConditionNow | None
    recheck: ConditionNow | None
    value: float | None
    depends_on: list[str]
    last_sent: int | None
    cooldown_until: int | None
    covered_until: int | None
    arm: str
    channels: list[str]
    allowed_channels: list[str]
    next: int | None
    moments: list[MomentNow]


class BudgetNow(Struct, frozen=True, kw_only=True):
    """window_ms: as stretched for this customer; free_at: when one more message fits, null: now."""

    messages: int
    window_ms: int
    channel: str | None
    tag: str | None
    used: int
    left: int
    free_at: int | None


class ConsentNow(Struct, frozen=True, kw_only=True):
    """Whether the customer may be written to for that purpose on that channel."""

    purpose: str
    channel: str
    basis: str
    allowed: bool


class ChannelNow(Struct, frozen=True, kw_only=True):
    """How messages on a channel were taken; answered: the mean chance that one is."""

    channel: str
    sent: int
    opened: int
    clicked: int
    unsubscribed: int
    bounced: int
    answered: float


class Explained(Struct, frozen=True, kw_only=True):
    """One customer at `now`. holdout: arms by experiment; stretch: how much longer budgets'
    windows are, for what was ignored lately; outbox: facts on their way to the log; version, file:
    of the scenarios that it is judged by; warnings: why the service may do otherwise."""

    customer: str
    now: int
    version: str
    file: str
    warnings: list[str]
    zone: str
    local_time: str
    quiet_until: int | None
    quiet_channels: list[str]
    paused: bool
    stage: str
    stage_since: int
    segments: dict[str, int]
    holdout: dict[str, str]
    contaminated: bool
    stretch: float
    outbox: int
    predictions: Prediction | None
    budgets: list[BudgetNow]
    consents: list[ConsentNow]
    channels: list[ChannelNow]
    scenarios: list[ScenarioNow]
