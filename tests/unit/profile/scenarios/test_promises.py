"""Promises about any text: what passed the checker cannot fail, and what is refused is told."""

import math
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.profile.scenarios.book import OnFact, Scalar
from services.profile.scenarios.expressions import Expression, compiled
from services.profile.scenarios.holding import SHIPPED
from services.profile.scenarios.problems import BookRefused, Problem
from services.profile.scenarios.reading import read
from services.profile.scenarios.variables import Scope

SCOPE = Scope(OnFact(fact="item_viewed"), event=True)
NUMBERS = ("profile.orders", "profile.age", "profile.nps", "item.stock", "event.price", "trait.x")
TEXTS = ("profile.country", "profile.stage", "event.item", "trait.y", "'DE'", '"it\'s"')
FLAGS = ("profile.cart_in_stock", "item.wished", "trait.z", "true", "false")
LISTS = ("profile.cart", "profile.segments", "['DE', 'AT']")
ANY_NUMBER = st.one_of(st.floats(), st.integers(-5, 5), st.none(), st.just("text"), st.booleans())


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


def among(*texts: str) -> st.SearchStrategy[str]:
    return st.sampled_from(texts)


texts = among(*TEXTS)
lists = among(*LISTS)
constants = st.one_of(st.integers(0, 9), st.floats(0, 1e6)).map(repr)
numbers: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        among(*NUMBERS),
        constants,
        joined(among("(", "-("), numbers, among(" + ", " - ", " * ", " / "), numbers, among(")")),
        joined(among("("), flags, among(" ? "), numbers, among(" : "), numbers, among(")")),
        joined(among("size("), lists, among(")")),
    )
)
flags: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        among(*FLAGS),
        joined(numbers, among(" < ", " <= ", " > ", " >= ", " == ", " != "), numbers),
        joined(texts, among(" == ", " != ", " < ", " in "), texts),
        joined(texts, among(" in "), lists),
        joined(among("("), flags, among(" && ", " || ", " == "), flags, among(")")),
        joined(among("!("), flags, among(")")),
        joined(lists, among(".exists(e, e == ", ".all(e, e != "), texts, among(")")),
        joined(among("("), texts, among(").contains("), texts, among(")")),
    )
)


class Drawn:
    """Gives each variable whatever was drawn for its group, as a moment or a shop would."""

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values

    def value(self, variable: str) -> Scalar:
        known: Scalar = self.values[variable]
        return known


values = st.fixed_dictionaries(
    {name: st.one_of(st.floats(), st.just(math.nan)) for name in NUMBERS[:-1]}
    | {"trait.x": ANY_NUMBER, "trait.y": ANY_NUMBER, "trait.z": ANY_NUMBER}
    | {name: st.text(max_size=3) for name in TEXTS[:3]}
    | {name: st.booleans() for name in FLAGS[:2]}
    | {name: st.lists(st.text(max_size=2), max_size=3) for name in LISTS[:2]}
)


@settings(max_examples=200, deadline=None)
@given(flags, values)
@example("trait.x > profile.orders", {"trait.x": None, "profile.orders": 1.0})
@example("profile.age / profile.age > 1", {"profile.age": 0.0})
def test_what_passed_the_checker_never_fails_when_it_runs(text: str, drawn: dict[str, Any]) -> None:
    failures: list[str] = []
    found = compiled(text, "flag", SCOPE.find, {}, failures.append)
    if isinstance(found, Expression):
        assert found.holds(Drawn(drawn)) in {True, False}
    assert failures == []


@settings(max_examples=200, deadline=None)
@given(numbers, values)
def test_a_worth_is_a_finite_number_and_never_fails(text: str, drawn: dict[str, Any]) -> None:
    failures: list[str] = []
    found = compiled(text, "number", SCOPE.find, {}, failures.append)
    if isinstance(found, Expression):
        assert math.isfinite(found.amount(Drawn(drawn)))
    assert failures == []


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("ab.profileorders0159 ()[]'\"\\!&|<>=+-*/?:,\n\u00e9"), max_size=40))
def test_any_text_is_an_expression_or_is_told(text: str) -> None:
    found = compiled(text, "flag", SCOPE.find, {})
    if not isinstance(found, Expression):
        assert found
        assert all(0 <= wrong.at <= len(text) and wrong.what and wrong.fix for wrong in found)


GOOD = SHIPPED.read_text()


def problems_of(data: bytes) -> tuple[Problem, ...] | None:
    """What is wrong with a file; None where it is a book."""
    try:
        read(data)
    except BookRefused as refused:
        return refused.problems
    return None


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, len(GOOD)),
    st.integers(0, 30),
    st.text(st.sampled_from("abc:{}[],-#'\"&*!|>%@` \n\t0\x00\ud7ff"), max_size=6),
)
def test_a_file_with_any_damage_is_read_or_refused_with_lines(at: int, cut: int, put: str) -> None:
    damaged = GOOD[:at] + put + GOOD[at + cut :]
    problems = problems_of(damaged.encode()) or ()
    assert all(1 <= problem.line <= damaged.count("\n") + 2 for problem in problems)
    assert all(problem.what and problem.fix for problem in problems)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_any_bytes_are_refused_with_a_line(data: bytes) -> None:
    assert problems_of(data)
