"""The book: scenarios, segments, stages and policy, as read from scenarios.yaml and checked. Pure.

Immutable: a reload makes another one. `reading` makes it from the file, `noting` and `deciding`
(in `moments`) work by it. Durations are ms, times of day minutes since local midnight.
"""

from collections.abc import Mapping
from typing import Literal, Protocol, TypeAlias

from msgspec import Struct

from services.profile.arbiter.policy import Policy

Scalar: TypeAlias = bool | int | float | str | list[str] | None


class Context(Protocol):
    """Gives expressions their variables, each worked out when it is first asked for."""

    def value(self, variable: str) -> Scalar:
        """The variable by its dotted name, such as `profile.orders`."""


class Condition(Protocol):
    """A checked CEL expression over a context. variables: the dotted names that it reads."""

    @property
    def text(self) -> str: ...
    @property
    def variables(self) -> frozenset[str]: ...

    def holds(self, context: Context) -> bool:
        """False, and counted, where it fails at run time."""


class Worth(Protocol):
    """A checked CEL expression that gives minor units."""

    @property
    def text(self) -> str: ...
    @property
    def variables(self) -> frozenset[str]: ...

    def amount(self, context: Context) -> float:
        """0, and counted, where it fails at run time."""


class OnFact(Struct, frozen=True, kw_only=True):
    """A fact of that type (`cart_added`) of a known customer."""

    fact: str


class OnItem(Struct, frozen=True, kw_only=True):
    """A change of an item, for each customer who showed one of these kinds of interest in it."""

    interest: frozenset[Literal["viewed", "carted", "wished"]]


class OnTimer(Struct, frozen=True, kw_only=True):
    """A named timer that follows from the profile (`birthday`, `inactive` ...): `days` before it
    (negative: after it), at that minute of the customer's local day; after_ms: for `inactive`;
    below: for `churn_risk`; at_minute -1: at no certain time of day (`inactive` alone)."""

    timer: str
    days: int = 0
    at_minute: int = 600
    after_ms: int = 0
    below: float = 0.0


class Ask(Struct, frozen=True, kw_only=True):
    """What a payload asks recommend for."""

    placement: str
    n: int


class Scenario(Struct, frozen=True, kw_only=True):
    """One scenario. after_ms: from the cause until it is decided; life_ms: from then until it is
    too late to say; cooldown_ms: since it was last said; style, priority: for the marketing
    tool."""

    name: str
    on: OnFact | OnItem | OnTimer
    purpose: str
    channels: tuple[str, ...]
    when: Condition | None = None
    recheck: Condition | None = None
    value: Worth | None = None
    after_ms: int = 0
    life_ms: int = 86_400_000
    cooldown_ms: int = 0
    tags: frozenset[str] = frozenset()
    on_conflict: Literal["hold", "drop"] = "hold"
    payload: Ask | None = None
    style: str = ""
    priority: int = 50


class Segment(Struct, frozen=True, kw_only=True):
    """Who belongs to it. reassess_ms: how long after the customer's last event it is asked again,
    for rules that time alone can turn."""

    name: str
    when: Condition
    reassess_ms: tuple[int, ...] = ()


class Book(Struct, frozen=True, kw_only=True):
    """All of it. version: as declared, or the content's digest; by_fact: fact type → scenarios;
    by_name: all of them;
    stages: in their order, the first that holds is the customer's."""

    version: str
    policy: Policy
    scenarios: tuple[Scenario, ...]
    by_fact: Mapping[str, tuple[Scenario, ...]]
    by_name: Mapping[str, Scenario] = {}
    on_items: tuple[Scenario, ...] = ()
    on_timers: tuple[Scenario, ...] = ()
    segments: tuple[Segment, ...] = ()
    stages: tuple[Segment, ...] = ()
