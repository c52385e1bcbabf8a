"""Components add up: the order and the grouping in which they are merged do not matter."""

from itertools import permutations

import pytest
from hypothesis import given

from services.profile.component import (
    BOUGHT_KEPT,
    DAY_MS,
    VALUES_KEPT,
    Component,
    merge,
    pack,
    unpack,
)
from services.profile.registers import MARKS_KEPT, RECENT_KEPT, Consent
from services.profile.state import canonical
from shared import events as facts
from tests.unit.profile.builders import DAY, NOW, base, bought, carted, fact_lists, folded, viewed


def merged(*parts: Component) -> Component:
    total = Component()
    for part in parts:
        merge(total, unpack(pack(part)))
    return total


@given(fact_lists(), fact_lists(), fact_lists())
def test_merging_is_commutative(one, two, three) -> None:
    parts = [folded(*sequence) for sequence in (one, two, three)]
    results = {canonical(merged(*order)) for order in permutations(parts)}
    assert len(results) == 1


@given(fact_lists(), fact_lists(), fact_lists())
def test_merging_is_associative(one, two, three) -> None:
    a, b, c = (folded(*sequence) for sequence in (one, two, three))
    assert canonical(merged(merged(a, b), c)) == canonical(merged(a, merged(b, c)))


@given(fact_lists())
def test_an_empty_component_changes_nothing(sequence) -> None:
    whole = folded(*sequence)
    assert canonical(merged(whole)) == canonical(merged(Component(), whole, Component()))


@given(fact_lists())
def test_a_component_survives_its_packing(sequence) -> None:
    whole = folded(*sequence)
    assert unpack(pack(whole)) == whole


@given(fact_lists(), fact_lists())
def test_merging_counts_every_event_of_both(one, two) -> None:
    a, b = folded(*one), folded(*two)
    both = merged(a, b)
    assert both.events == len(one) + len(two)
    assert both.orders == a.orders + b.orders
    assert both.revenue.get("GBP", 0) == a.revenue.get("GBP", 0) + b.revenue.get("GBP", 0)


def test_lists_and_registers_stay_bounded() -> None:
    component = folded(
        *(carted(n, NOW + n, f"item-{n}") for n in range(MARKS_KEPT + 20)),
        *(bought(1000 + n, NOW + n, f"bought-{n}") for n in range(BOUGHT_KEPT + 20)),
    )
    assert len(component.cart) == MARKS_KEPT
    assert len(component.bought) == BOUGHT_KEPT
    assert len(component.recent) == RECENT_KEPT
    assert "item-0" not in component.cart
    assert "bought-0" not in component.bought


def test_affinities_keep_the_latest_values() -> None:
    views = [
        facts.ItemViewed(**base(n, NOW + n * 8 * DAY // 64), item="x", category=f"category-{n}")
        for n in range(VALUES_KEPT * 2)
    ]
    values = folded(*views).affinities[0]
    assert len(values) == VALUES_KEPT
    assert f"category-{VALUES_KEPT * 2 - 1}" in values


def test_day_counts_leave_the_window_but_totals_stay() -> None:
    component = folded(viewed(1, NOW - 60 * DAY), viewed(2, NOW))
    assert list(component.days) == [NOW // DAY_MS]
    assert component.totals == {1: 2}


def test_late_facts_beyond_the_window_add_to_totals_only() -> None:
    component = folded(viewed(1, NOW), viewed(2, NOW - 60 * DAY))
    assert list(component.days) == [NOW // DAY_MS]
    assert component.totals == {1: 2}


@pytest.mark.parametrize(
    ("consent", "allows"),
    [
        (Consent(), False),
        (Consent(granted=5), True),
        (Consent(anonymous_granted=5), True),
        (Consent(denied=5, anonymous_granted=9), False),
        (Consent(denied=5, granted=9), True),
        (Consent(denied=9, granted=5, anonymous_granted=20), False),
    ],
)
def test_an_anonymous_grant_never_lifts_a_denial(consent: Consent, allows: bool) -> None:
    assert consent.allows is allows
