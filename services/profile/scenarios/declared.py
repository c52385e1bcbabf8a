"""What stands in scenarios.yaml, field by field, with what each means. Pure.

`reading` makes a Book of it; the JSON schema and the field reference come from FILE.
"""

from typing import Any, Final, TypeAlias

from msgspec import Struct, field

from services.profile.arbiter.policy import DAY_MS, MINUTE_MS
from services.profile.contact import SENT_KEPT, SENT_MS
from services.profile.scenarios.beginnings import Beginning
from services.profile.scenarios.book import OnFact, OnItem, OnTimer
from services.profile.scenarios.scalar_shapes import (
    NAME,
    Clock,
    Duration,
    Flag,
    Number,
    OneOf,
    Text,
    Zone,
)
from services.profile.scenarios.shapes import Field, Formula, ListOf, MapOf, Object, Written
from shared.topics import CHANNELS

Lines: TypeAlias = dict[str, int]
YEAR_MS: Final = 365 * DAY_MS
MOST_ITEMS: Final = 100
BASES: Final = ("consent", "legitimate_interest", "contract", "legal_obligation")


class BudgetText(Struct, kw_only=True):
    lines: Lines
    messages: float = 0
    window: int = 0
    channel: str | None = None
    tag: str | None = None


class QuietText(Struct, kw_only=True):
    lines: Lines
    begin: int = -1
    end: int = -2
    channels: list[str] = field(default_factory=list)


class PurposeText(Struct, kw_only=True):
    lines: Lines
    basis: str = ""
    opt_in: bool = False
    transactional: bool = False


class HoldoutText(Struct, kw_only=True):
    lines: Lines
    share: float = 0.0
    salt: str = ""


class PolicyText(Struct, kw_only=True):
    lines: Lines
    budgets: list[BudgetText] = field(default_factory=list)
    quiet_hours: QuietText | None = None
    purposes: dict[str, PurposeText] | None = None
    holdout: HoldoutText | None = None
    annoyance: float = 0.0
    lost_customer: float = 0.0


class RuleText(Struct, kw_only=True):
    lines: Lines
    name: str = ""
    when: Written | None = None
    reassess: list[int] = field(default_factory=list)


class PayloadText(Struct, kw_only=True):
    lines: Lines
    placement: str = ""
    n: float = 0


class ScenarioText(Struct, kw_only=True):
    lines: Lines
    name: str = ""
    on: OnFact | OnItem | OnTimer | None = None
    purpose: str = ""
    channels: list[str] = field(default_factory=list)
    when: Written | None = None
    after: int = 0
    recheck: Written | None = None
    cooldown: int = 0
    life: int = DAY_MS
    tags: list[str] = field(default_factory=list)
    value: Written | None = None
    on_conflict: Any = "hold"
    holdout: float = 0.0
    style: str = ""
    priority: float = 50
    payload: PayloadText | None = None


class FileText(Struct, kw_only=True):
    lines: Lines
    scenarios: list[ScenarioText] = field(default_factory=list)
    version: str = ""
    zone: str = "UTC"
    policy: PolicyText | None = None
    segments: list[RuleText] = field(default_factory=list)
    stages: list[RuleText] = field(default_factory=list)


_NAME: Final = Text(NAME, "a name such as win_back (a to z, digits, _)", 64)
_LABEL: Final = Text(r"[^\x00-\x1f\x7f-\x9f]+", "a text in one line", 64)
_CHANNELS: Final = ListOf(OneOf(CHANNELS, "channel"), 1, len(CHANNELS), distinct=True)
_SHARE: Final = Number(0, 0.9, why=": a holdout of all sends nothing")
_MONEY: Final = Number(0, 10**12)
_SECOND_MS: Final = 1_000
_LEDGER: Final = ", as far back as messages are remembered"

BUDGET: Final = Object(
    BudgetText,
    {
        "messages": Field(
            Number(1, SENT_KEPT, whole=True, why=_LEDGER), "how many messages at most", True
        ),
        "window": Field(
            Duration(_SECOND_MS, SENT_MS, too_long=_LEDGER),
            "in any time span so long, however placed",
            True,
        ),
        "channel": Field(OneOf(CHANNELS, "channel"), "of this channel alone"),
        "tag": Field(_NAME, "of scenarios with this tag alone"),
    },
)
QUIET: Final = Object(
    QuietText,
    {
        "from": Field(Clock(), "begin, in the customer's own time zone", True, "begin"),
        "to": Field(Clock(), "end; earlier than `from` means the next day", True, "end"),
        "channels": Field(_CHANNELS, "channels that keep quiet; all where it is left out"),
    },
)
PURPOSE: Final = Object(
    PurposeText,
    {
        "basis": Field(
            OneOf(BASES, "legal basis"),
            "what the law lets it rest on: with consent or legitimate_interest a denial stops it",
            True,
        ),
        "opt_in": Field(Flag(), "nothing is said before consent was given"),
        "transactional": Field(
            Flag(), "passes budgets and holdouts, but counts as a message; at night it waits too"
        ),
    },
)
HOLDOUT: Final = Object(
    HoldoutText,
    {
        "share": Field(_SHARE, "share of customers who get nothing, so effects show", True),
        "salt": Field(_LABEL, "another salt draws other customers"),
    },
)
POLICY: Final = Object(
    PolicyText,
    {
        "budgets": Field(ListOf(BUDGET, 0, 20), "how many messages a customer gets at most"),
        "quiet_hours": Field(QUIET, "hours of the day without messages; what comes then waits"),
        "purposes": Field(
            MapOf(PURPOSE, 20), "purposes of messages; marketing and service where left out"
        ),
        "holdout": Field(HOLDOUT, "who gets no message of any scenario"),
        "annoyance": Field(_MONEY, "what a message costs in goodwill, minor units"),
        "lost_customer": Field(_MONEY, "what an unsubscribe costs, minor units"),
    },
)
RULE: Final = Object(
    RuleText,
    {
        "name": Field(_NAME, "its name", True),
        "when": Field(Formula("profile.orders >= 5"), "who belongs to it", True),
        "reassess": Field(
            ListOf(Duration(MINUTE_MS, 5 * YEAR_MS), 0, 8, distinct=True),
            "how long after a customer's last event, and after what the rule asks the age of, "
            "to ask again, for rules that time alone turns",
        ),
    },
)
PAYLOAD: Final = Object(
    PayloadText,
    {
        "placement": Field(
            Text("[A-Za-z0-9_.-]{1,128}", "a placement such as cart_reminder", 128),
            "the placement of recommend that ranks the items",
            True,
        ),
        "n": Field(
            Number(1, MOST_ITEMS, whole=True, why=": a message holds no more"),
            "how many it ranks, after what the moment is about: an item and 3 more with `n: 3`",
            True,
        ),
    },
)
SCENARIO: Final = Object(
    ScenarioText,
    {
        "name": Field(_NAME, "its name, once in the file", True),
        "on": Field(Beginning(), "what begins it: a fact, item_changed or a timer", True),
        "when": Field(Formula("profile.cart_items > 0"), "condition, asked when it begins"),
        "after": Field(Duration(0, YEAR_MS), "how long to wait then"),
        "recheck": Field(
            Formula("profile.cart_in_stock"), "condition, asked again when that is over; no event.*"
        ),
        "cooldown": Field(Duration(0, 5 * YEAR_MS), "silence after it was said to a customer"),
        "life": Field(
            Duration(MINUTE_MS, 90 * DAY_MS, ", so nothing could be said"),
            "how long it is worth saying once due; 24h where left out",
        ),
        "purpose": Field(_NAME, "one of policy.purposes", True),
        "channels": Field(_CHANNELS, "where it may be said, the preferred one first", True),
        "tags": Field(ListOf(_NAME, 0, 16, distinct=True), "for budgets by tag"),
        "value": Field(
            Formula("0.05 * profile.cart_value"), "what saying it is worth, minor units"
        ),
        "on_conflict": Field(
            OneOf(("hold", "drop"), "rule"), "when another is worth more: wait, or be silent"
        ),
        "holdout": Field(_SHARE, "share of customers who never get this one"),
        "style": Field(Text("[A-Za-z0-9_.-]+", "a word", 64), "for the marketing tool"),
        "priority": Field(Number(0, 100, whole=True), "for the marketing tool; 50 if left out"),
        "payload": Field(PAYLOAD, "the items to show besides what the moment is about"),
    },
)
FILE: Final = Object(
    FileText,
    {
        "version": Field(_LABEL, "told in every trigger; the content's digest if left out"),
        "zone": Field(Zone(), "the shop's time zone, for customers without trait `timezone`"),
        "policy": Field(POLICY, "what holds for all scenarios"),
        "segments": Field(ListOf(RULE, 0, 100), "groups of customers, by what they do"),
        "stages": Field(
            ListOf(RULE, 0, 32), "of the journey, in order: the first whose rule holds counts"
        ),
        "scenarios": Field(ListOf(SCENARIO, 0, 100), "the moments", True),
    },
)
