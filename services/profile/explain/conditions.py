"""A condition as it stands, also where part of what it asks is not there yet. Pure.

Before its moment nobody knows the event, the item or the order: a condition is then only so far
decided as the rest of it decides it (`profile.orders > 3 && event.total > 50` is false for who
ordered once, whatever the event).
"""

from collections.abc import Iterable, Iterator
from math import isinf, isnan
from typing import Final

from msgspec import Struct

from services.profile.explain.answer import ConditionNow
from services.profile.moments.context import MomentContext
from services.profile.scenarios.book import Condition, Scalar
from services.profile.scenarios.straight import straight
from services.profile.scenarios.syntax import Chain, Name, Node, Unary, parse
from services.profile.scenarios.variables import Scope

_ANYWHERE: Final = Scope(anything=True)
"""The book was checked: what it asks it may ask."""


def condition_now(
    condition: Condition | None, context: MomentContext, groups: frozenset[str]
) -> ConditionNow | None:
    """The condition at a moment of which these groups of variables (`event`, `item`) are not known;
    None where there is none."""
    if condition is None:
        return None
    names = sorted(condition.variables)
    missing = frozenset(asked_of(names, groups))
    unknown = [name for name in names if _group(name) in missing]
    holds = _decided(parse(condition.text), context, missing) if missing else None
    return ConditionNow(
        # A timer's `when` and `recheck` are joined, each on lines of its own.
        text=" ".join(condition.text.replace("\n)", ")").split()),
        holds=holds if missing else condition.holds(context),
        values={name: None if name in unknown else _plain(context.value(name)) for name in names},
        depends_on=sorted(missing),
    )


def asked_of(names: Iterable[str], groups: frozenset[str]) -> list[str]:
    """Which of these groups the variables are of, in the order of their names."""
    return sorted({_group(name) for name in names} & groups)


def _group(name: str) -> str:
    return name.partition(".")[0]


def _decided(node: Node, context: MomentContext, missing: frozenset[str]) -> bool | None:
    """Whether it holds whatever the missing may be; None where that depends on it."""
    match node:
        case Chain(operator=joint, operands=operands):
            settles = joint == "||"
            found = [_decided(each, context, missing) for each in operands]
            if settles in found:
                return settles
            return None if None in found else not settles
        case Unary(operator="!", operand=operand):
            inner = _decided(operand, context, missing)
            return None if inner is None else not inner
    if any(_group(name) in missing for name in _names(node)):
        return None
    test = straight(node, _ANYWHERE.find)
    return None if test is None else test(context)


def _names(node: object) -> Iterator[str]:
    if isinstance(node, Name):
        yield node.name
    elif isinstance(node, list):
        for each in node:
            yield from _names(each)
    elif isinstance(node, Struct):
        for field in node.__struct_fields__:
            yield from _names(getattr(node, field))


def _plain(value: Scalar) -> Scalar:
    """JSON has no NaN: what is not known is null, and what is not counted is no number."""
    return None if isinstance(value, float) and (isnan(value) or isinf(value)) else value
