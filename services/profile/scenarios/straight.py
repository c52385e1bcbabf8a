"""Conditions that need no CEL: comparisons of variables with constants, joined. Pure.

Such a one runs as plain calls, and no value is turned into CEL's; most conditions that facts ask
are of that kind. It says what the program says (a test compares them over drawn
expressions and values), and where a variable cannot be read it raises, and the program is asked
instead.
"""

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeAlias

from services.profile.scenarios.syntax import Binary, Chain, Listing, Literal, Name, Node, Unary
from services.profile.scenarios.typed import Find
from services.profile.scenarios.variable import UNKNOWN, Kind, Variable

Give: TypeAlias = Callable[[Any], object]
"""A value of a moment (`variable.Moment`)."""
Test: TypeAlias = Callable[[Any], bool]
Constant: TypeAlias = float | str
_COMPARES: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_TURNED: Final = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def straight(node: Node, find: Find) -> Test | None:
    """The test that a checked condition is; None where it is more than this module knows."""
    match node:
        case Literal(value=bool(value)):
            return lambda moment: value
        case Name(name=name):
            found = find(name)
            return _flag(found.read) if isinstance(found, Variable) else None
        case Unary(operator="!", operand=operand):
            inner = straight(operand, find)
            return None if inner is None else lambda moment: not inner(moment)
        case Chain(operator=joint, operands=operands):
            tests = [straight(each, find) for each in operands]
            known = [test for test in tests if test is not None]
            if len(known) < len(tests):
                return None
            return _every(known) if joint == "&&" else _any(known)
        case Binary(operator="in", left=left, right=right):
            return _membership(left, right, find)
        case Binary(operator=sign, left=left, right=right) if sign in _TURNED:
            if isinstance(left, Name):
                return _comparison(left, sign, right, find)
            return _comparison(right, _TURNED[sign], left, find)
    return None


def _every(tests: Sequence[Test]) -> Test:
    first, *others = tests
    if not others:
        return first
    rest = _every(others)
    return lambda moment: first(moment) and rest(moment)


def _any(tests: Sequence[Test]) -> Test:
    first, *others = tests
    if not others:
        return first
    rest = _any(others)
    return lambda moment: first(moment) or rest(moment)


def _comparison(left: Node, sign: str, right: Node, find: Find) -> Test | None:
    constant = _constant(right)
    read = None if constant is None else _reading(left, constant, find)
    if read is None:
        return None
    if sign == "!=" and isinstance(constant, float):
        # A number that is not known differs from nothing.
        return lambda moment: not math.isnan(value := read(moment)) and value != constant
    compare = _COMPARES[sign]
    return lambda moment: compare(read(moment), constant)


def _membership(left: Node, right: Node, find: Find) -> Test | None:
    if isinstance(right, Name):
        found, wanted = find(right.name), _constant(left)
        if not isinstance(wanted, str) or not isinstance(found, Variable) or found.kind != "texts":
            return None
        return _among(wanted, found.read)
    if not isinstance(right, Listing):
        return None
    entries = [_constant(entry) for entry in right.entries]
    among = [entry for entry in entries if entry is not None]
    read = _reading(left, among[0], find) if among and len(among) == len(entries) else None
    return None if read is None else lambda moment: read(moment) in among


def _flag(give: Give) -> Test:
    return lambda moment: give(moment) is True


def _among(wanted: str, give: Give) -> Test:
    def test(moment: Any) -> bool:
        value = give(moment)
        return isinstance(value, list) and wanted in value

    return test


def _constant(node: Node) -> Constant | None:
    """A finite number or a text that is written out."""
    if isinstance(node, Unary) and node.operator == "-":
        inner = _constant(node.operand)
        return -inner if isinstance(inner, float) else None
    if not isinstance(node, Literal) or isinstance(node.value, bool):
        return None
    if isinstance(node.value, str):
        return node.value
    return float(node.value) if math.isfinite(node.value) else None


def _reading(node: Node, beside: Constant, find: Find) -> Callable[[Any], Any] | None:
    """Reads a variable as what the constant beside it is."""
    found = find(node.name) if isinstance(node, Name) else None
    wanted: Kind = "text" if isinstance(beside, str) else "number"
    if not isinstance(found, Variable) or found.kind not in {wanted, "any"}:
        return None
    return _text(found.read) if wanted == "text" else _number(found)


def _text(give: Give) -> Callable[[Any], str]:
    def read(moment: Any) -> str:
        value = give(moment)
        return value if isinstance(value, str) else ""

    return read


def _number(variable: Variable) -> Callable[[Any], float]:
    give: Callable[[Any], Any] = variable.read
    unknown = variable.missing if isinstance(variable.missing, float) else UNKNOWN

    def read(moment: Any) -> float:
        value = give(moment)
        kind = type(value)
        if kind is int:
            return float(value)
        return value if kind is float and not math.isnan(value) else unknown

    return read
