"""The book that a dry run judges by: a draft, or one scenario of it among those that run. Pure."""

from collections.abc import Sequence

from msgspec.structs import replace

from services.profile.scenarios.book import Book, OnFact, OnItem, OnTimer, Scenario
from shared.errors import InvalidInput


def merge(running: Book, draft: Book, name: str) -> Book:
    """The running book with that scenario of the draft, in the place of its namesake if it has one.

    Policy, segments and stages are the running ones; the scenario brings its own holdout. Raises
    InvalidInput where the draft has no such scenario.
    """
    found = next((one for one in draft.scenarios if one.name == name), None)
    if found is None:
        known = ", ".join(one.name for one in draft.scenarios) or "none"
        raise InvalidInput(f"the draft has no scenario {name!r}; it has: {known}")
    scenarios = [found if one.name == name else one for one in running.scenarios]
    if found not in scenarios:
        scenarios.append(found)
    holdouts = {**running.policy.scenario_holdouts}
    holdouts.pop(name, None)
    if name in draft.policy.scenario_holdouts:
        holdouts[name] = draft.policy.scenario_holdouts[name]
    return rearranged(
        replace(
            running,
            version=f"{running.version}+{draft.version}/{name}",
            policy=replace(running.policy, scenario_holdouts=holdouts),
        ),
        scenarios,
    )


def rearranged(book: Book, scenarios: Sequence[Scenario]) -> Book:
    """The book with other scenarios, found by what begins them."""
    by_fact: dict[str, tuple[Scenario, ...]] = {}
    for one in scenarios:
        if isinstance(one.on, OnFact):
            by_fact[one.on.fact] = (*by_fact.get(one.on.fact, ()), one)
    return replace(
        book,
        scenarios=tuple(scenarios),
        by_fact=by_fact,
        by_name={one.name: one for one in scenarios},
        on_items=tuple(one for one in scenarios if isinstance(one.on, OnItem)),
        on_timers=tuple(one for one in scenarios if isinstance(one.on, OnTimer)),
    )
