"""What a shop's scenarios.yaml forbids, read for the checker of `attune bench triggers`. Pure.

Written anew from the file's documentation, on purpose: it shares no code with what it checks.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import yaml

UNITS_MS: Final = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


@dataclass(frozen=True, slots=True)
class Limit:
    """At most that many messages within any span of that many ms; None: of any."""

    messages: int
    span_ms: int
    channel: str | None
    tag: str | None


@dataclass(frozen=True, slots=True)
class Kind:
    """What the file says of one scenario. about_items: it speaks of items that somebody wants."""

    purpose: str
    tags: frozenset[str]
    about_items: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """The policy. quiet: minutes of the day from and to, and the channels (empty: all); holds_out:
    some customers of every scenario."""

    zone: str
    limits: tuple[Limit, ...]
    quiet: tuple[int, int, frozenset[str]] | None
    free: frozenset[str]
    """Purposes that pass limits and holdouts."""
    unasked: frozenset[str]
    """Purposes that need no consent."""
    asked_first: frozenset[str]
    """Purposes that need a grant."""
    kinds: Mapping[str, Kind]
    holds_out: bool


def read_rules(text: str) -> Rules:
    """The rules of a file. Raises KeyError or ValueError where it is not one."""
    file = yaml.safe_load(text)
    policy = file.get("policy") or {}
    purposes: dict[str, Any] = policy.get("purposes") or {}
    return Rules(
        zone=file.get("zone", "UTC"),
        limits=tuple(_limit(each) for each in policy.get("budgets") or ()),
        quiet=_quiet(policy.get("quiet_hours")),
        free=frozenset(name for name, each in purposes.items() if each.get("transactional")),
        unasked=frozenset(name for name, each in purposes.items() if each.get("basis") in UNASKED),
        asked_first=frozenset(name for name, each in purposes.items() if each.get("opt_in")),
        kinds={each["name"]: _kind(each) for each in file["scenarios"]},
        holds_out=float((policy.get("holdout") or {}).get("share", 0)) > 0,
    )


INTERESTED: Final = frozenset(
    {"item_viewed", "cart_added", "cart_viewed", "checkout_started", "wishlist_added"}
)
"""What a scenario begins with that speaks of an item somebody showed an interest in."""
UNASKED: Final = frozenset({"contract", "legal_obligation", "vital_interest", "public_task"})
"""Bases in law on which nobody is asked; against a legitimate interest one may object."""


def _kind(scenario: dict[Any, Any]) -> Kind:
    on = scenario.get("on", scenario.get(True))  # in YAML 1.1 a bare `on` says yes
    about = on in INTERESTED if isinstance(on, str) else "item_changed" in (on or ())
    tags = frozenset(scenario.get("tags") or ())
    return Kind(scenario.get("purpose", "marketing"), tags, about)


def _limit(budget: dict[str, Any]) -> Limit:
    span = milliseconds(budget["window"])
    return Limit(int(budget["messages"]), span, budget.get("channel"), budget.get("tag"))


def _quiet(hours: dict[str, Any] | None) -> tuple[int, int, frozenset[str]] | None:
    if not hours:
        return None
    begin, end = (_minutes(str(hours[name])) for name in ("from", "to"))
    return begin, end, frozenset(hours.get("channels") or ())


def _minutes(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)


def milliseconds(span: str) -> int:
    """A span such as `24h` or `7d`, in ms."""
    return int(float(span[:-1]) * UNITS_MS[span[-1]])
