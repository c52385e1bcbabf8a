"""Expressions that were checked and can be asked: `Condition` and `Worth` of `book`. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal

import cel

from services.profile.scenarios.book import Context, Scalar
from services.profile.scenarios.checking import Checker
from services.profile.scenarios.straight import Give, Test, straight
from services.profile.scenarios.syntax import parse
from services.profile.scenarios.tokens import SyntaxProblem
from services.profile.scenarios.typed import Find, Input, Wrong

_FAILURES: Final = (ArithmeticError, LookupError, AttributeError, TypeError, ValueError)
"""What reading a variable may raise."""

Failed = Callable[[str], None]
"""Told the text of an expression that failed while it ran."""


def nobody(text: str) -> None:
    """Where nobody counts failures."""


class _Reading:
    """Gives a program its variables, each when it is first met: what `&&` and `||` skip is never
    worked out, and turning all of them into CEL's values is most of what a run costs."""

    __slots__ = ("context", "gives")

    def __init__(self, gives: Mapping[str, Give]) -> None:
        self.gives = gives
        self.context: Context | None = None

    def __call__(self, code: str) -> object:
        try:
            return self.gives[code](self.context)
        except _FAILURES:
            # To CEL a variable without a value is an undefined one: the program fails, and is
            # counted. An error that got there would be printed besides.
            return None


class Expression:
    """A checked program and what it reads; test: the same without CEL, where there is such a one,
    of moments. One thread asks it at a time."""

    __slots__ = (
        "_context",
        "_direct",
        "_failed",
        "_named",
        "_program",
        "_reading",
        "_test",
        "text",
        "variables",
    )

    def __init__(
        self,
        text: str,
        program: cel.Program,
        inputs: Sequence[Input],
        failed: Failed,
        test: Test | None = None,
    ) -> None:
        self.text = text
        self._test = test
        self.variables = frozenset(given.variable.name for given in inputs)
        self._program = program
        self._failed = failed
        self._named = {given.code: _by_name(given) for given in inputs}
        self._direct = {given.code: _directly(given) for given in inputs}
        self._reading = _Reading(self._direct)
        self._context = cel.Context()
        self._context.set_variable_resolver(self._reading)

    def holds(self, context: Context) -> bool:
        """Whether the condition is true. What fails, which no checked one should, is false."""
        if self._test is not None and hasattr(context, "profile"):
            try:
                return self._test(context)
            except _FAILURES:
                # What `&&` and `||` make of a part that fails is for CEL to say.
                return self._result(context) is True
        return self._result(context) is True

    def amount(self, context: Context) -> float:
        """The worth in minor units; 0 where it is no finite number."""
        result = self._result(context)
        return result if isinstance(result, float) and math.isfinite(result) else 0.0

    def _result(self, context: Context) -> object:
        self._reading.context = context
        # A whole moment gives values without a look-up by name.
        self._reading.gives = self._direct if hasattr(context, "profile") else self._named
        try:
            return self._program.execute(self._context)
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError):
            self._failed(self.text)
            return None


def _by_name(given: Input) -> Give:
    """For contexts that are no moments."""
    name = given.variable.name
    return lambda context: _plain(context.value(name), given)


def _directly(given: Input) -> Give:
    """The same of a moment, by the variable's own function."""
    read, missing, unknown = given.variable.read, given.variable.missing, given.unknown

    def number(moment: Any) -> object:
        value = read(moment)
        kind = value.__class__
        if kind is float:
            return value if value == value else unknown  # noqa: PLR0124  (NaN is the one that is not)
        return float(value) if kind is int else whatever(moment)  # type: ignore[arg-type]

    def whatever(moment: Any) -> object:
        value = read(moment)
        return _plain(missing if value is None else value, given)

    return number if given.kind == "number" else whatever


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
        parsed = parse(text)
        typed = checker.root(parsed, wanted)
    except SyntaxProblem as problem:
        return [Wrong(problem.at, problem.what, problem.fix)]
    if checker.wrong:
        return checker.wrong
    try:
        program = cel.compile(typed.code)
    except ValueError:
        return [Wrong(0, "CEL cannot read it", "write it in a simpler way")]
    test = straight(parsed, find) if wanted == "flag" else None
    return Expression(text, program, tuple(checker.inputs.values()), failed, test)
