"""Expressions that were checked and can be asked: `Condition` and `Worth` of `book`. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import cel

from services.profile.scenarios.book import Context, Scalar
from services.profile.scenarios.checking import Checker
from services.profile.scenarios.syntax import parse
from services.profile.scenarios.tokens import SyntaxProblem
from services.profile.scenarios.typed import Find, Input, Wrong

Failed = Callable[[str], None]
"""Told the text of an expression that failed while it ran."""


def nobody(text: str) -> None:
    """Where nobody counts failures."""


class _Reading:
    """Gives a program its variables, each when it is first met: what `&&` and `||` skip is never
    worked out, and turning all of them into CEL's values is most of what a run costs."""

    __slots__ = ("context", "inputs")

    def __init__(self, inputs: Mapping[str, Input]) -> None:
        self.inputs = inputs
        self.context: Context | None = None

    def __call__(self, code: str) -> object:
        given = self.inputs[code]
        try:
            return _plain(self.context.value(given.variable.name), given)  # type: ignore[union-attr]
        except (ArithmeticError, LookupError, AttributeError, TypeError, ValueError):
            # To CEL a variable without a value is an undefined one: the program fails, and is
            # counted. An error that got there would be printed besides.
            return None


class Expression:
    """A checked program and what it reads. One thread asks it at a time."""

    __slots__ = ("_context", "_failed", "_program", "_reading", "text", "variables")

    def __init__(
        self, text: str, program: cel.Program, inputs: Sequence[Input], failed: Failed
    ) -> None:
        self.text = text
        self.variables = frozenset(given.variable.name for given in inputs)
        self._program = program
        self._failed = failed
        self._reading = _Reading({given.code: given for given in inputs})
        self._context = cel.Context()
        self._context.set_variable_resolver(self._reading)

    def holds(self, context: Context) -> bool:
        """Whether the condition is true. What fails, which no checked one should, is false."""
        return self._result(context) is True

    def amount(self, context: Context) -> float:
        """The worth in minor units; 0 where it is no finite number."""
        result = self._result(context)
        return result if isinstance(result, float) and math.isfinite(result) else 0.0

    def _result(self, context: Context) -> object:
        self._reading.context = context
        try:
            return self._program.execute(self._context)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
            self._failed(self.text)
            return None


def _plain(value: Scalar, given: Input) -> object:
    """A value as its kind; what is of another kind counts as not known."""
    kind = given.kind
    if kind == "number":
        if not isinstance(value, int | float) or isinstance(value, bool) or math.isnan(value):
            return given.unknown
        return float(value)
    if kind == "text":
        return value if isinstance(value, str) else ""
    if kind == "flag":
        return value is True
    return value if isinstance(value, list) else []


def compiled(
    text: str,
    wanted: Literal["flag", "number"],
    find: Find,
    domains: Mapping[str, frozenset[str]],
    failed: Failed = nobody,
) -> Expression | list[Wrong]:
    """The expression, or all that is wrong with it.

    find: variables that may be asked here; domains: `segments`, `stages` → their names.
    """
    checker = Checker(find, domains)
    try:
        typed = checker.root(parse(text), wanted)
    except SyntaxProblem as problem:
        return [Wrong(problem.at, problem.what, problem.fix)]
    if checker.wrong:
        return checker.wrong
    try:
        program = cel.compile(typed.code)
    except ValueError:
        return [Wrong(0, "CEL cannot read it", "write it in a simpler way")]
    return Expression(text, program, tuple(checker.inputs.values()), failed)
