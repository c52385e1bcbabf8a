"""What `attune scenarios explain` tells people. Pure."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from services.profile.explain.answer import BudgetNow, Explained, MomentNow, ScenarioNow
from services.profile.prediction import Prediction
from services.profile.scenarios.book import Scalar

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS


def words(found: Explained) -> str:
    """The whole answer as lines: first what is near, then the customer, then everything else."""
    near = [scenario for scenario in found.scenarios if scenario.moments]
    rest = [scenario for scenario in found.scenarios if not scenario.moments]
    return "\n".join(
        [
            *_customer(found),
            "",
            "near firing" if near else "nothing is near firing",
            *(line for scenario in near for line in _near(scenario, found.now)),
            "",
            "if its moment came now",
            *(line for scenario in rest for line in _far(scenario, found.now)),
        ]
    )


def _customer(found: Explained) -> Iterator[str]:
    yield f"customer {found.customer} at {_time(found.now)}, scenarios {found.version}"
    yield f"  local time    {found.local_time} ({found.zone})" + (
        f", quiet until {_time(found.quiet_until)}" if found.quiet_until else ""
    )
    yield f"  stage         {found.stage or 'none'}"
    yield f"  segments      {', '.join(found.segments) or 'none'}"
    if found.paused:
        yield "  does not want to be profiled"
    denied = [f"{one.purpose} by {one.channel}" for one in found.consents if not one.allowed]
    yield f"  consent       {', '.join(f'no {each}' for each in denied) or 'to all that is asked'}"
    arms = [f"{name}: {arm}" for name, arm in found.holdout.items()]
    yield f"  arms          {', '.join(arms) or 'none recorded'}" + (
        ", contaminated" if found.contaminated else ""
    )
    for budget in found.budgets:
        yield f"  budget        {_budget(budget, found.now)}"
    if found.stretch > 1:
        yield f"  tired         windows are {found.stretch:g} times as long"
    for one in found.channels:
        yield (
            f"  {one.channel:<14}{one.sent} sent, {one.opened} opened, {one.clicked} clicked, "
            f"{one.unsubscribed} unsubscribed, {one.bounced} bounced; answers {one.answered:.0%}"
        )
    if found.predictions is not None:
        yield f"  predictions   {_predictions(found.predictions)}"


def _predictions(told: Prediction) -> str:
    parts = (
        ("orders within a year", told.predicted_number_of_orders, ".2f"),
        ("churn probability", told.churn_probability, ".0%"),
        ("days between orders", told.average_days_between_orders, ".1f"),
    )
    return ", ".join(f"{name} {value:{form}}" for name, value, form in parts if value is not None)


def _budget(budget: BudgetNow, now: int) -> str:
    of = " ".join(name for name in (budget.channel, budget.tag and f"tagged {budget.tag}") if name)
    free = "" if budget.free_at is None else f", free in {_span(budget.free_at - now)}"
    return (
        f"{budget.used} of {budget.messages} {of + ' ' if of else ''}in {_span(budget.window_ms)} "
        f"used{free}"
    )


def _near(scenario: ScenarioNow, now: int) -> Iterator[str]:
    for moment in scenario.moments:
        yield f"  {scenario.name}: {_moment(moment, now)}"
    yield from _conditions(scenario)


def _moment(moment: MomentNow, now: int) -> str:
    about = " ".join(name for name in (moment.subject, moment.item) if name)
    due = f"in {_span(moment.due - now)}" if moment.due > now else "now"
    verb = "is asked again" if moment.state == "held" else "is decided"
    then = "would be sent" if moment.blocked_by is None else f"held back by {moment.blocked_by}"
    if moment.blocked_by is not None and moment.retry_at is not None:
        then += f" until {_time(moment.retry_at)}"
    return f"{verb} {due}{f' ({about})' if about else ''}: {then}"


def _far(scenario: ScenarioNow, now: int) -> Iterator[str]:
    then = "would be sent" if scenario.blocked_by is None else f"held back by {scenario.blocked_by}"
    if scenario.blocked_by is not None and scenario.retry_at is not None:
        then += f" until {_time(scenario.retry_at)}"
    due = "" if scenario.next is None else f", due {_time(scenario.next)}"
    yield f"  {scenario.name} (on {scenario.begins}{due}): {then}"
    if scenario.cooldown_until is not None:
        yield f"    cools down until {_time(scenario.cooldown_until)}"
    yield from _conditions(scenario)


def _conditions(scenario: ScenarioNow) -> Iterator[str]:
    for name, condition in (("when", scenario.when), ("recheck", scenario.recheck)):
        if condition is not None:
            holds = {True: "holds", False: "does not hold", None: "asks about the moment"}
            values = ", ".join(
                f"{key} = {_value(value)}" for key, value in condition.values.items()
            )
            yield f"    {name} {holds[condition.holds]}: {condition.text}"
            if values:
                yield f"      {values}"


def _value(value: Scalar) -> str:
    if value is None:
        return "unknown"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _span(span_ms: int) -> str:
    if span_ms >= 2 * DAY_MS:
        return f"{span_ms / DAY_MS:.3g} d"
    if span_ms >= 2 * HOUR_MS:
        return f"{span_ms / HOUR_MS:.3g} h"
    return f"{max(1, round(span_ms / MINUTE_MS))} min"
