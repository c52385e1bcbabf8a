"""The shipped segments and stages of the journey, each by histories."""

import pytest

from services.profile.component import Component
from services.profile.moments.around import Around
from services.profile.moments.context import MomentContext
from services.profile.state import Profile
from shared import events as facts
from tests.unit.profile.builders import DAY, NOW, base
from tests.unit.profile.scenarios.stories import (
    BOOK,
    bought,
    carted,
    folded,
    orders,
    said,
    viewed,
    wished,
)


@pytest.mark.parametrize(
    ("stage", "history"),
    [
        ("lost", [bought(400)]),
        ("lost", [viewed(200)]),
        ("at_risk", orders(6, 500, 130)),
        ("loyal", orders(4, 90, 10)),
        ("onboarding", [bought(10)]),
        ("buying", [bought(60)]),
        ("buying", [carted()]),
        ("considering", [wished(40)]),
        ("considering", [viewed(number=n) for n in range(3)]),
        ("aware", [viewed()]),
    ],
)
def test_the_first_stage_that_holds(stage: str, history: list[facts.AnyFact]) -> None:
    context = MomentContext(Profile(component=folded(Component(), history)), Around(), NOW)
    assert next(each.name for each in BOOK.stages if each.when.holds(context)) == stage


@pytest.mark.parametrize(
    ("segment", "inside", "outside"),
    [
        ("vip", orders(5), orders(4)),
        ("vip", orders(5), orders(5, 400, 100)),
        ("gold", orders(3), [bought(5)]),
        ("needs_care", [said("nps", 5)], [said("nps", 5, 20)]),
        ("needs_care", [said("csat", 1)], [said("csat", 4)]),
        (
            "needs_care",
            [facts.SupportContacted(**base())],
            [facts.SupportContacted(**base(at=NOW - 4 * DAY))],
        ),
    ],
)
def test_who_belongs_to_a_segment(
    segment: str, inside: list[facts.AnyFact], outside: list[facts.AnyFact]
) -> None:
    (rule,) = (each for each in BOOK.segments if each.name == segment)
    for history, expected in ((inside, True), (outside, False)):
        context = MomentContext(Profile(component=folded(Component(), history)), Around(), NOW)
        assert rule.when.holds(context) is expected
