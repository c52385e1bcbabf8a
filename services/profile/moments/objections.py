"""Why a moment that has come is not even asked about: it is past, or no longer so. Pure.

What the shop's own `recheck` says stands here beside what holds for every scenario.
"""

from services.profile.arbiter.policy import Policy
from services.profile.identity import Identity
from services.profile.moments.around import Around
from services.profile.moments.beginning import may_begin
from services.profile.moments.context import MomentContext
from services.profile.moments.occurring import occurrence
from services.profile.moments.subjects import (
    about_cart,
    bought_since,
    for_sale,
    items_of,
    needs_stock,
)
from services.profile.moments.waiting import Waiting
from services.profile.scenarios.book import OnTimer, Scenario
from services.profile.view import cart_items


def objection(
    identity: Identity,
    scenario: Scenario,
    moment: Waiting,
    policy: Policy,
    around: Around,
    now: int,
) -> str | None:
    """The first reason against it at `now` (epoch ms); None where the arbiter is to be asked."""
    timer = scenario.on if isinstance(scenario.on, OnTimer) else None
    refused = may_begin(identity, scenario, moment.due, policy)
    if refused is not None:
        return refused
    if timer is not None and occurrence(identity.profile, scenario, around, moment) is None:
        return "moved"
    refused = _about_items(identity, scenario, moment, around, now)
    if refused is not None:
        return refused
    context = MomentContext(identity.profile, around, now, waiting=moment)
    # A timer has no fact at which `when` could have been asked.
    conditions = (scenario.when if timer is not None else None, scenario.recheck)
    holds = all(each is None or each.holds(context) for each in conditions)
    return None if holds else "recheck"


def _about_items(
    identity: Identity, scenario: Scenario, moment: Waiting, around: Around, now: int
) -> str | None:
    component = identity.profile.component
    if about_cart(scenario):
        sold_out = cart_items(component) and not items_of(scenario, moment, component, around, now)
        return "out_of_stock" if sold_out else None
    item = around.items.get(moment.item)
    if needs_stock(scenario, moment) and not for_sale(item, now):
        return "out_of_stock"
    return "bought" if bought_since(scenario, moment, component, item) else None
