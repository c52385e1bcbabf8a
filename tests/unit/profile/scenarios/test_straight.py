"""Conditions without CEL: whatever the variables are, they say what the CEL program says."""

from functools import partial
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.profile.scenarios import expressions
from services.profile.scenarios.book import OnFact, Scalar
from services.profile.scenarios.expressions import Expression, compiled
from services.profile.scenarios.holding import SHIPPED
from services.profile.scenarios.reading import read
from services.profile.scenarios.straight import straight
from services.profile.scenarios.syntax import Node, parse
from services.profile.scenarios.typed import Find
from services.profile.scenarios.variable import Variable
from services.profile.scenarios.variables import ALL, Scope

SCOPE = Scope(OnFact(fact="item_viewed"), event=True)
NUMBERS = ("profile.orders", "profile.age", "item.stock", "event.price", "trait.x")
TEXTS = ("profile.country", "event.item", "trait.y")
FLAGS = ("profile.cart_in_stock", "item.wished", "trait.z")
LISTS = ("profile.cart", "profile.segments")
among = st.sampled_from
FIGURES = ("0", "1", "-1", "3.5", "-2.5", "1e300", "9007199254740993")
WORDS = ("'DE'", '"it\'s"', "'\u00e9'", "''")


def joined(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map("".join)


def either_way(variables: tuple[str, ...], constants: tuple[str, ...]) -> st.SearchStrategy[str]:
    signs = among([" < ", " <= ", " > ", " >= ", " == ", " != "])
    one, other = among(variables), among(constants)
    return st.one_of(joined(one, signs, other), joined(other, signs, one))


def listed(entries: tuple[str, ...]) -> st.SearchStrategy[str]:
    return st.lists(among(entries), min_size=1, max_size=3).map(lambda each: f"[{', '.join(each)}]")


conditions: st.SearchStrategy[str] = st.deferred(
    lambda: st.one_of(
        among((*FLAGS, "true", "false")),
        either_way(NUMBERS, FIGURES),
        either_way(TEXTS, WORDS),
        joined(among(WORDS), st.just(" in "), among(LISTS)),
        joined(among(TEXTS), st.just(" in "), listed(WORDS)),
        joined(among(NUMBERS), st.just(" in "), listed(FIGURES)),
        joined(st.just("!("), conditions, st.just(")")),
        joined(st.just("("), conditions, among([" && ", " || "]), conditions, st.just(")")),
    )
)
FAILS = "fails when it is read"
odd = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.just(10**400),
    st.just(9007199254740993),
    st.floats(),
    st.sampled_from(["DE", "it's", "\u00e9", "", "x"]),
    st.lists(st.sampled_from(["DE", "", "it's"]), max_size=2),
    st.just(FAILS),
)
values = st.fixed_dictionaries(dict.fromkeys((*NUMBERS, *TEXTS, *FLAGS, *LISTS), odd))


class Drawn:
    """A moment whose variables are whatever was drawn, of their kind or not."""

    profile = None

    def __init__(self, values: dict[str, Any]) -> None:
        self.values = values
        self.asked: list[str] = []

    def value(self, variable: str) -> Scalar:
        """Nobody looks a moment's variable up by its name."""
        raise AssertionError(variable)


def drawn_of(name: str, moment: Any) -> Scalar:
    moment.asked.append(name)
    known: Scalar = moment.values[name]
    if known == FAILS:
        raise KeyError(name)
    return known


def find(name: str) -> Variable | tuple[str, str]:
    found = SCOPE.find(name)
    if not isinstance(found, Variable):
        return found
    return replace(found, read=partial(drawn_of, name))


def both(text: str) -> tuple[Expression, Expression, list[str], list[str]]:
    """The condition as it runs, and by CEL alone; each with what it counted as failed."""

    def never(node: Node, find: Find) -> None:
        """No condition is simple enough."""

    mine: list[str] = []
    cels: list[str] = []
    found = compiled(text, "flag", find, {}, mine.append)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expressions, "straight", never)
        by_cel = compiled(text, "flag", find, {}, cels.append)
    assert isinstance(found, Expression)
    assert isinstance(by_cel, Expression)
    return found, by_cel, mine, cels


@settings(max_examples=500, deadline=None)
@given(conditions, values)
@example("profile.age != 1", {"profile.age": float("nan")})
@example("!(profile.age < 1) && profile.age != 1", {"profile.age": None})
@example("profile.orders == 0", {"profile.orders": float("nan")})
@example("profile.orders < 1 || item.wished", {"profile.orders": FAILS, "item.wished": True})
def test_a_condition_says_what_its_cel_program_says(text: str, drawn: dict[str, Any]) -> None:
    assert straight(parse(text), find) is not None, f"{text} is left to CEL"
    found, by_cel, mine, cels = both(text)
    assert found.holds(Drawn(drawn)) is by_cel.holds(Drawn(drawn))
    assert mine == cels


@pytest.mark.parametrize(
    "text",
    [
        "profile.orders > profile.age",
        "profile.orders + 1 > 2",
        "profile.country.startsWith('D')",
        "profile.cart.exists(e, e == 'a')",
        "profile.cart_in_stock == true",
        "profile.country in profile.cart",
        "profile.orders > 1 && size(profile.cart) > 0",
    ],
)
def test_what_is_not_simple_is_left_to_cel(text: str) -> None:
    assert straight(parse(text), find) is None
    assert isinstance(compiled(text, "flag", find, {}), Expression)


def test_nothing_is_read_that_cannot_matter() -> None:
    moment = Drawn({"profile.orders": 0})

    def holds(text: str) -> bool:
        found = straight(parse(text), find)
        assert found is not None
        return found(moment)

    assert not holds("profile.orders > 1 && profile.age > 1 && item.wished")
    assert holds("profile.orders < 1 || profile.age > 1")
    assert moment.asked == ["profile.orders", "profile.orders"]


@pytest.mark.parametrize("variable", ALL, ids=lambda each: each.name)
def test_what_is_not_known_is_what_a_straight_condition_takes_it_for(variable: Variable) -> None:
    taken = {"text": "", "flag": False, "texts": []}
    assert variable.kind == "number" or variable.missing == taken[variable.kind]


def test_what_is_asked_of_each_fact_needs_no_cel() -> None:
    book = read(SHIPPED.read_bytes())
    asked = [rule.when for rule in (*book.segments, *book.stages)]
    asked += [each.when for each in book.scenarios if each.when and isinstance(each.on, OnFact)]
    anything = Scope(anything=True).find
    assert [each.text for each in asked if straight(parse(each.text), anything) is None] == []
