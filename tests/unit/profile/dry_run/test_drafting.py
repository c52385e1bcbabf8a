"""One scenario of a draft among those that run."""

import pytest

from services.profile.arbiter.policy import Holdout, Policy
from services.profile.dry_run.drafting import merge, rearranged
from services.profile.scenarios.book import Book, OnFact, OnItem, OnTimer, Scenario
from shared.errors import InvalidInput


def scenario(name: str, on: OnFact | OnItem | OnTimer, after_ms: int = 0) -> Scenario:
    return Scenario(name=name, on=on, purpose="marketing", channels=("email",), after_ms=after_ms)


def book(version: str, *scenarios: Scenario, **holdouts: float) -> Book:
    policy = Policy(
        zone=version, scenario_holdouts={name: Holdout(share=s) for name, s in holdouts.items()}
    )
    return rearranged(Book(version=version, policy=policy, scenarios=(), by_fact={}), scenarios)


CARTED = OnFact(fact="cart_added")
RUNNING = book(
    "live",
    scenario("cart", CARTED, 1),
    scenario("browse", OnFact(fact="item_viewed")),
    scenario("price_drop", OnItem(interest=frozenset(["viewed"]))),
    cart=0.1,
)


def test_a_scenario_takes_the_place_of_its_namesake() -> None:
    merged = merge(RUNNING, book("draft", scenario("cart", CARTED, 2)), "cart")

    assert [one.name for one in merged.scenarios] == ["cart", "browse", "price_drop"]
    assert [one.after_ms for one in merged.by_fact["cart_added"]] == [2]
    assert merged.on_items == RUNNING.on_items
    assert merged.policy.zone == "live"
    assert merged.policy.scenario_holdouts == {}


def test_a_new_scenario_comes_beside_the_others_with_its_own_holdout() -> None:
    draft = book(
        "draft",
        scenario("birthday", OnTimer(timer="birthday")),
        scenario("x", CARTED),
        birthday=0.5,
    )

    merged = merge(RUNNING, draft, "birthday")

    assert [one.name for one in merged.scenarios] == ["cart", "browse", "price_drop", "birthday"]
    assert [one.name for one in merged.on_timers] == ["birthday"]
    assert merged.policy.scenario_holdouts == {
        "cart": Holdout(share=0.1),
        "birthday": Holdout(share=0.5),
    }
    assert "live" in merged.version
    assert "draft" in merged.version


def test_a_scenario_that_begins_otherwise_than_its_namesake_no_longer_begins_as_that_did() -> None:
    merged = merge(RUNNING, book("draft", scenario("cart", OnTimer(timer="inactive"))), "cart")

    assert merged.by_fact.get("cart_added", ()) == ()
    assert [one.name for one in merged.on_timers] == ["cart"]


def test_a_name_that_the_draft_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(InvalidInput, match=r"no scenario 'cart'.*it has: birthday"):
        merge(RUNNING, book("draft", scenario("birthday", CARTED)), "cart")
