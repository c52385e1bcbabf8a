"""What typing an expression works with and gives: kinds, functions, typed parts. Pure."""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from services.profile.scenarios.variable import Variable

KINDS: Final = {
    "number": "a number",
    "text": "a text",
    "flag": "true or false",
    "texts": "a list of texts",
    "numbers": "a list of numbers",
}
ENTRY_OF: Final = {"texts": "text", "numbers": "number"}
LIST_OF: Final = {kind: listed for listed, kind in ENTRY_OF.items()}
TEXT_FUNCTIONS: Final = ("startsWith", "endsWith", "contains", "matches")
LIST_FUNCTIONS: Final = ("exists", "all", "exists_one", "filter")
FUNCTIONS: Final = ("size", *TEXT_FUNCTIONS, *LIST_FUNCTIONS)
CHOICE, OR, AND, COMPARE, SUM, PRODUCT, UNARY, PRIMARY = range(8)
"""How tightly code binds, loosest first."""


class Wrong(NamedTuple):
    """What is wrong with a part of an expression; at: index of its first character."""

    at: int
    what: str
    fix: str


class Typed(NamedTuple):
    """A part that was typed. kind: one of KINDS, `any`, or "" where it is wrong; strength: how
    tightly its code binds; unknown: a number that may not be known."""

    kind: str
    code: str
    strength: int = PRIMARY
    unknown: bool = False

    def within(self, strength: int) -> str:
        """The code as an operand of something that binds so tightly."""
        return self.code if self.strength >= strength else f"({self.code})"


class Input(NamedTuple):
    """A variable that the program reads: `code` is its name there, kind what it is made; unknown:
    the number that stands for one that is not known."""

    code: str
    variable: Variable
    kind: str
    unknown: float


Find: TypeAlias = Callable[[str], Variable | tuple[str, str]]
"""A variable by its dotted name, or what is wrong with that name and what to write."""
BROKEN: Final = Typed("", "false")


_TIMES: Final = "times are numbers of days or hours here, such as profile.days_since_order"
_UNKNOWN: Final = "what is not known is never true: compare it, as in profile.orders > 0"
HINTS: Final[Mapping[str, str]] = {
    **dict.fromkeys(["timestamp", "duration", "now"], _TIMES),
    **dict.fromkeys(["has", "null"], _UNKNOWN),
    **dict.fromkeys(["int", "uint", "double"], "all numbers are alike: leave it out"),
    **dict.fromkeys(["True", "TRUE", "yes", "Yes", "on"], "write true"),
    **dict.fromkeys(["False", "FALSE", "no", "No", "off"], "write false"),
    "map": "use filter(), exists() or all()",
}
"""What to write in place of what other kinds of CEL, or of YAML, know."""
