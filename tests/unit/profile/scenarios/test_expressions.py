"""Expressions: what is refused before anything runs, and what the checked ones say."""

import math
from typing import Any

import pytest

from services.profile.scenarios.book import OnFact, OnItem, OnTimer, Scalar
from services.profile.scenarios.expressions import Expression, compiled
from services.profile.scenarios.variables import VARIABLES, Scope

DOMAINS = {
    "segments": frozenset(["vip", "sleeping"]),
    "stages": frozenset(["buying", "lost"]),
    "kinds": frozenset(["nps", "csat", "ces"]),
}
VIEW = Scope(OnFact(fact="item_viewed"), event=True)


class Given:
    """A context of given values; what is not given is missing, as in a moment."""

    def __init__(self, **values: Scalar) -> None:
        self.values = {name.replace("__", "."): value for name, value in values.items()}
        self.asked: list[str] = []

    def value(self, variable: str) -> Scalar:
        self.asked.append(variable)
        known = VARIABLES.get(variable)
        return self.values.get(variable, None if known is None else known.missing)


def expression(text: str, wanted: Any = "flag", scope: Scope = VIEW) -> Expression:
    found = compiled(text, wanted, scope.find, DOMAINS)
    assert isinstance(found, Expression), found
    return found


def wrong(text: str, wanted: Any = "flag", scope: Scope = VIEW) -> list[tuple[int, str, str]]:
    found = compiled(text, wanted, scope.find, DOMAINS)
    assert isinstance(found, list), f"{text} passed"
    return [tuple(each) for each in found]


@pytest.mark.parametrize(
    ("text", "values", "expected"),
    [
        ("profile.orders >= 5", {"profile__orders": 5}, True),
        ("profile.orders >= 5 && profile.revenue > 1", {"profile__orders": 5}, False),
        ("profile.orders + 1 == 6", {"profile__orders": 5}, True),
        ("2 * (profile.orders + 1) == 12", {"profile__orders": 5}, True),
        ("profile.orders - 1 - 1 == 3", {"profile__orders": 5}, True),
        ("profile.orders / 2 > 2 ? true : false", {"profile__orders": 5}, True),
        ("-profile.orders < 0", {"profile__orders": 5}, True),
        ("!(profile.orders > 5)", {"profile__orders": 5}, True),
        ("!!profile.cart_in_stock", {"profile__cart_in_stock": True}, True),
        ("profile.country in ['DE', \"AT\"]", {"profile__country": "AT"}, True),
        ("'5 > 3' == profile.country", {"profile__country": "5 > 3"}, True),
        ("profile.country == 'it\\'s'", {"profile__country": "it's"}, True),
        ("profile.country.startsWith('D')", {"profile__country": "DE"}, True),
        ("profile.country.matches('^[A-Z]{2}$')", {"profile__country": "DE"}, True),
        ("size(profile.cart) > 1", {"profile__cart": ["a", "b"]}, True),
        ("profile.cart.size() * 2 == 4", {"profile__cart": ["a", "b"]}, True),
        ("profile.cart.exists(v0, v0 == 'b')", {"profile__cart": ["a", "b"]}, True),
        ("profile.cart.filter(e, e != 'b').size() == 1", {"profile__cart": ["a", "b"]}, True),
        ("'a' in profile.cart", {"profile__cart": ["a", "b"]}, True),
        ("event.price in [1, 2.5]", {"event__price": 1}, True),
        ("trait.tier == 'gold'", {"trait__tier": "gold"}, True),
        ("trait.tier == 'gold'", {"trait__tier": 3}, False),
        ("trait.points > 10", {"trait__points": 11}, True),
        ("trait.points > 10", {"trait__points": "11"}, False),
        ("trait.vip == true && trait.vip != false", {"trait__vip": True}, True),
        ("trait['loyalty tier'] == 'gold'", {}, False),
        ("trait.one == trait.other", {"trait__one": "x", "trait__other": "x"}, True),
        ("trait.points + 1 > 10 // as the shop counts", {"trait__points": 10}, True),
        ("event.extra.gift == true", {"event__extra__gift": True}, True),
    ],
)
def test_conditions_say_what_they_read(
    text: str, values: dict[str, Scalar], expected: bool
) -> None:
    assert expression(text).holds(Given(**values)) is expected


@pytest.mark.parametrize("sign", ["<", "<=", ">", ">=", "==", "!="])
def test_a_comparison_with_what_is_not_known_is_false(sign: str) -> None:
    failures: list[str] = []
    found = compiled(
        f"profile.days_since_order {sign} 90", "flag", VIEW.find, DOMAINS, failures.append
    )
    assert isinstance(found, Expression)
    assert not found.holds(Given())
    for text in (
        f"90 {sign} profile.days_since_order",
        f"-profile.age {sign} -5",
        f"profile.age {sign} profile.nps",
    ):
        assert not compiled_or(text)
    assert not compiled_or(f"(profile.days_since_order + 1) * 0 {sign} trait.x")
    assert failures == []


def compiled_or(text: str) -> bool:
    return expression(text).holds(Given())


def test_a_worth_is_minor_units_and_0_where_it_is_no_number() -> None:
    assert expression("0.05 * profile.cart_value", "number").amount(
        Given(profile__cart_value=2_000)
    ) == pytest.approx(100)
    assert expression("profile.orders > 1 ? 10 : 20", "number").amount(Given()) == 20
    for text in ("profile.age", "1 / profile.orders", "profile.orders / profile.orders"):
        assert expression(text, "number").amount(Given()) == 0


def test_only_what_is_read_is_asked_for() -> None:
    found = expression("profile.orders > 1 && profile.orders < 5 && trait.tier == 'gold'")
    context = Given(profile__orders=1)
    found.holds(context)
    assert context.asked == ["profile.orders"]
    assert found.variables == {"profile.orders", "trait.tier"}


def test_what_fails_all_the_same_is_false_and_counted() -> None:
    failures: list[str] = []
    found = compiled("profile.orders > 1", "flag", VIEW.find, DOMAINS, failures.append)
    assert isinstance(found, Expression)

    class Broken:
        def value(self, variable: str) -> Scalar:
            raise KeyError(variable)

    assert (found.holds(Broken()), found.amount(Broken())) == (False, 0.0)
    assert failures == ["profile.orders > 1"] * 2


@pytest.mark.parametrize(
    ("text", "at", "what", "fix"),
    [
        ("", 0, "it ends too early", "add a variable, a number or a text"),
        ("profile.orders >", 16, "it ends too early", "add a variable, a number or a text"),
        ("profile.orders = 5", 15, "`=` means nothing", "write `==`"),
        ("profile.orders > 5 and true", 19, "the name `and` was not expected", "write `&&`"),
        ("not profile.cart_in_stock", 0, "`not` means nothing", "write `!`"),
        ("profile.country == 'DE", 19, "a text that does not end", "close it with '"),
        ("profile.orders > 5)", 18, "the sign `)` was not expected here", "join with"),
        ("(profile.orders > 5", 19, "`)` is missing", "add `)`"),
        ("1 < profile.orders < 5", 19, "two comparisons in a row", "join them with &&"),
        ("profile.orders > 5; true", 18, "`;` means nothing here", "leave it out"),
        ("profile.country == 'a\\d'", 19, "`\\d` means nothing", "write `\\\\`"),
        (
            "profile.order > 5",
            0,
            "there is no variable profile.order",
            "did you mean profile.orders",
        ),
        ("colour == 'red'", 0, "there is no variable colour", "see the list of variables"),
        ("profile.orders", 0, "a number where true or false is needed", "compare it, as in x > 0"),
        ("profile.country", 0, "a text where true or false is needed", "compare it, as in x =="),
        ("profile.orders > '5'", 17, "a text where a number is needed", "write 5 without quotes"),
        ("profile.country == 5", 19, "a number where a text is needed", 'write "5" in quotes'),
        ("true || profile.orders > 'a'", 25, "a text where a number is needed", "use a number"),
        ("profile.cart > 5", 15, "a number where a list of texts is needed", "use a list"),
        ("profile.cart_in_stock > true", 22, "`>` does not compare true or false", "numbers"),
        ("profile.country * 2 == 1", 18, "a number where a text is needed", "in quotes"),
        ("profile.orders in 5", 18, "`in` needs a list", "write one"),
        ("5 in profile.cart", 0, "a number where a text is needed", 'write "5" in quotes'),
        ("[] == profile.cart", 0, "an empty list", "write what it holds"),
        ("profile.country.startWith('D')", 16, "no function startWith()", "startsWith?"),
        ("max(profile.orders, 1) > 1", 0, "there is no function max()", "there are size"),
        ("startsWith('a') == true", 0, "there is no function", "write it behind a value"),
        ("profile.country.matches('[')", 24, "not a regular expression", "RE2"),
        ("profile.country.matches(trait.x)", 24, "the pattern is not written out", "as a text"),
        ("profile.orders.exists(e, e == 1)", 0, "exists() needs a list", "ask it of a list"),
        ("profile.cart.exists(e)", 13, "exists() takes other arguments", "as in x.exists("),
        ("'vipp' in profile.segments", 0, "`vipp` is not among the segments", "did you mean vip?"),
        ("profile.stage == 'gone'", 17, "`gone` is not among the stages", "declare it under"),
        ("profile.stage in ['lost', 'bying']", 26, "`bying` is not among", "did you mean buying?"),
        ("event.total > 5", 0, "item_viewed has no event.total", "it has event.item"),
        ("item.drop > 5", 0, "item.drop is not known here", "it needs `on: item_changed`"),
        ("size(" * 50 + "'a'" + ")" * 50, 200, "nested too deeply", "fewer brackets"),
        ("!" * 50 + "true", 39, "nested too deeply", "use fewer `!`"),
        ("1" + "+1" * 50 + "> 1", 81, "more than 40 in a row", "use fewer"),
        ("true" + " " * 2_000, 0, "longer than 2,000 characters", "split the scenario"),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_a_fix(
    text: str, at: int, what: str, fix: str
) -> None:
    found = wrong(text)
    assert len(found) == 1
    assert found[0][0] == at
    assert what in found[0][1]
    assert fix in found[0][2]


def test_all_that_is_wrong_is_told_at_once() -> None:
    text = "profile.order > 1 && profile.cuontry == 'DE' && profile.orders > 'x' && event.total > 1"
    assert [at for at, _, _ in wrong(text)] == [0, 21, 65, 72]


def test_a_condition_that_doubles_itself_without_end_is_refused() -> None:
    text = "profile.age"
    for _ in range(12):
        text = f"({text} > 1 ? {text} : 2)"[:1_900]
        if wrong_or_none(f"{text} > 1"):
            break
    else:
        pytest.fail("it never became too long")


def wrong_or_none(text: str) -> bool:
    return isinstance(compiled(text, "flag", VIEW.find, DOMAINS), list)


@pytest.mark.parametrize(
    ("scope", "text"),
    [
        (Scope(), "event.price > 1"),
        (Scope(), "item.price > 1"),
        (Scope(OnItem(interest=frozenset(["viewed"]))), "event.price > 1"),
        (Scope(OnFact(fact="item_viewed")), "event.price > 1"),
        (Scope(OnFact(fact="purchased"), event=True), "item.price > 1"),
        (Scope(OnTimer(timer="birthday")), "item.price > 1"),
        (Scope(OnTimer(timer="birthday")), "timer.relation == 'mother'"),
        (Scope(OnFact(fact="item_viewed")), "order.delivered"),
    ],
)
def test_what_is_not_at_hand_cannot_be_asked(scope: Scope, text: str) -> None:
    ((_, what, _),) = wrong(text, scope=scope)
    assert "is not known here" in what


def test_what_is_at_hand_can_be_asked() -> None:
    change = Scope(OnItem(interest=frozenset(["viewed"])))
    expression("item.drop_percent >= 10 && item.available", scope=change)
    expression("item.available", scope=Scope(OnTimer(timer="replenishment")))
    expression("timer.relation == 'mother'", scope=Scope(OnTimer(timer="occasion", days=7)))
    expression("!order.refunded", scope=Scope(OnFact(fact="order_delivered")))
    expression("event.total > 1 && 'x' in event.items", scope=Scope(OnFact(fact="purchased"), True))


def test_every_declared_variable_compiles_as_its_kind() -> None:
    places = [Scope(OnFact(fact=fact), event=True) for fact in ("purchased", "item_viewed")]
    places += [Scope(OnItem(interest=frozenset(["viewed"])))]
    places += [Scope(OnTimer(timer=timer)) for timer in ("occasion", "anniversary")]
    rest = {"number": "{} == {}", "text": "{} == {}", "flag": "{}", "texts": "size({}) > 0"}
    for name, variable in VARIABLES.items():
        facts = [Scope(OnFact(fact=fact), event=True) for fact in sorted(variable.facts)[:1]]
        texts = rest[variable.kind].format(name, name)
        found = [compiled(texts, "flag", scope.find, DOMAINS) for scope in (*facts, *places)]
        good = [each for each in found if isinstance(each, Expression)]
        assert good, f"{name} can be asked nowhere: {found}"
        missing = variable.missing
        known = not (isinstance(missing, float) and math.isnan(missing))
        assert good[0].holds(Given()) is (known and variable.kind in {"number", "text"})
