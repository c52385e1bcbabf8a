"""The one table of variables, and which of them an expression may ask where it stands. Pure."""

from collections.abc import Mapping
from functools import partial
from typing import Final, NamedTuple

from services.profile.scenarios import contact_variables, moment_variables, profile_variables
from services.profile.scenarios.book import OnFact, OnItem, OnTimer, Scalar
from services.profile.scenarios.typed import HINTS
from services.profile.scenarios.variable import Moment, Variable
from shared.advice import did_you_mean
from shared.events import FACT_TYPES, Fact, ItemFact, OrderFact

ALL: Final = (
    *profile_variables.VARIABLES,
    *contact_variables.VARIABLES,
    *moment_variables.EVENT,
    *moment_variables.ITEM,
    *moment_variables.CHANGE,
    *contact_variables.ORDER,
    *(variable for group in contact_variables.TIMER.values() for variable in group),
)
VARIABLES: Final[Mapping[str, Variable]] = {variable.name: variable for variable in ALL}
DYNAMIC: Final = {
    "trait.": "a trait of the customer, such as trait.tier",
    "item.field.": "a field of the item in the catalogue, such as item.field.colour",
    "event.extra.": "what else the event said, such as event.extra.gift",
}
"""Prefixes of variables of any kind: what they are compared with says which."""
ABOUT_ITEMS: Final = frozenset(["replenishment"])
"""Timers whose moment is about an item."""
_GROUPS: Final = frozenset(name.partition(".")[0] for name in VARIABLES)
_CHANGE: Final = frozenset(variable.name for variable in moment_variables.CHANGE)


def value_of(name: str, moment: Moment) -> Scalar:
    """A variable's value at a moment: numbers where it is a number, its default where it is not
    known; None for a trait or field that is not there."""
    variable = VARIABLES.get(name)
    if variable is not None:
        value = variable.read(moment)
        return variable.missing if value is None else value
    for prefix, read in _READ.items():
        if name.startswith(prefix):
            return read(moment, name.removeprefix(prefix))
    raise KeyError(name)


def _trait(moment: Moment, name: str) -> Scalar:
    trait = moment.profile.component.traits.get(name)
    return None if trait is None else _scalar(trait.value)


def _item_field(moment: Moment, name: str) -> Scalar:
    return None if moment.item is None else _scalar(moment.item.fields.get(name))


def _event_extra(moment: Moment, name: str) -> Scalar:
    return None if moment.fact is None else _scalar(moment.fact.extra.get(name))


def _scalar(value: object) -> Scalar:
    return value if isinstance(value, bool | int | float | str) else None


_READ: Final = {"trait.": _trait, "item.field.": _item_field, "event.extra.": _event_extra}


def _dynamic(name: str) -> Variable | None:
    for prefix, meaning in DYNAMIC.items():
        if name.startswith(prefix) and len(name) > len(prefix):
            return Variable(name, "any", meaning, partial(value_of, name), None)
    return None


def _instead_of(name: str) -> str:
    """What to write for a name that there is none of."""
    group, _, last = name.rpartition(".")
    for known in ("profile", "item", "event"):
        if group not in _GROUPS and f"{known}.{last}" in VARIABLES:
            return f"did you mean {known}.{last}?"
    otherwise = "see the list of variables in docs/scenarios-reference.md"
    return HINTS.get(name) or did_you_mean(name, VARIABLES, otherwise)


class Scope(NamedTuple):
    """Where an expression stands. on: what begins the scenario, None for a rule of segments or
    stages; event: whether what happened is at hand, which it is for `when` alone; anything: where
    `on` itself is wrong, so nobody can say what is at hand; own: what the rule itself answers."""

    on: OnFact | OnItem | OnTimer | None = None
    event: bool = False
    anything: bool = False
    own: frozenset[str] = frozenset()

    def find(self, name: str) -> Variable | tuple[str, str]:
        """The variable, or what is wrong with asking for it here and what to write."""
        variable = VARIABLES.get(name) or _dynamic(name)
        if variable is None:
            return f"there is no variable {name}", _instead_of(name)
        return self._refusal(variable) or variable

    def _refusal(self, variable: Variable) -> tuple[str, str] | None:
        if self.anything:
            return None
        if variable.name in self.own:
            what = f"{variable.name} follows from this rule, so it cannot ask for it"
            return what, "write out what it means"
        group = variable.name.partition(".")[0]
        if group == "event":
            return self._without_event(variable)
        if group == "order" and not self._is_about(OrderFact):
            fix = "begin with a fact about an order, such as order_delivered"
            return f"{variable.name} is not known here: the moment is not about an order", fix
        if group == "timer":
            return self._without_timer(variable)
        if group == "item" and not self._has_item():
            what = f"{variable.name} is not known here: the moment is not about one item"
            return what, "use profile.*, or begin with item_changed or a fact about an item"
        if variable.name in _CHANGE and not isinstance(self.on, OnItem):
            return f"{variable.name} is not known here", "it needs `on: item_changed`"
        return None

    def _without_event(self, variable: Variable) -> tuple[str, str] | None:
        if not isinstance(self.on, OnFact):
            return f"{variable.name} is not known here: no event is at hand", "use profile.*"
        if not self.event:
            fix = "ask it in `when`, and of profile.* or item.* here"
            return f"{variable.name} is not known here: the event is long past", fix
        if variable.facts and self.on.fact not in variable.facts:
            known = [each.name for each in moment_variables.EVENT if self.on.fact in each.facts]
            return f"{self.on.fact} has no {variable.name}", f"it has {', '.join(known) or 'none'}"
        return None

    def _without_timer(self, variable: Variable) -> tuple[str, str] | None:
        for timer, known in contact_variables.TIMER.items():
            begun = isinstance(self.on, OnTimer) and self.on.timer == timer
            if variable in known and not begun:
                return f"{variable.name} is not known here", f"it needs {{timer: {timer}}}"
        return None

    def _is_about(self, kind: type[Fact]) -> bool:
        return isinstance(self.on, OnFact) and issubclass(FACT_TYPES[self.on.fact], kind)

    def _has_item(self) -> bool:
        match self.on:
            case OnItem():
                return True
            case OnFact():
                return self._is_about(ItemFact)
            case OnTimer():
                return self.on.timer in ABOUT_ITEMS
            case None:
                return False
