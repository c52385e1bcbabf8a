"""Expressions that were checked and can be asked: `Condition` and `Worth` of `book`. Pure."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """A compiled program and what it reads. Frozen; equal only to itself."""

    text: str
    variables: frozenset[str]
    program: cel.Program
    inputs: tuple[Input, ...]
    failed: Failed

    def holds(self, context: Context) -> bool:
        """Whether the condition is true. What fails, which no checked one should, is false."""
        return self._result(context) is True

    def amount(self, context: Context) -> float:
        """The worth in minor units; 0 where it is no finite number."""
        result = self._result(context)
        return result if isinstance(result, float) and math.isfinite(result) else 0.0

    def _result(self, context: Context) -> object:
        try:
            return self.program.execute(
                {code: _plain(context.value(given.name), kind) for code, given, kind in self.inputs}
            )
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
            self.failed(self.text)
            return None


def _plain(value: Scalar, kind: str) -> object:
    """A value as its kind; what is of another kind counts as not known."""
    if kind == "number":
        known = isinstance(value, int | float) and not isinstance(value, bool)
        return float(value) if known else math.nan  # type: ignore[arg-type]
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
    inputs = tuple(checker.inputs.values())
    names = frozenset(given.variable.name for given in inputs)
    return Expression(text, names, program, inputs, failed)
