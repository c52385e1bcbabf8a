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


_MEANINGS: Final = {
    "covered": "one was refused already as the scenario cools down",
    "not_worth_it": "less than it costs in goodwill",
    "out_of_stock": "what it is about cannot be bought",
    "paused": "the customer does not want to be profiled",
}
"""Of reasons that do not explain themselves."""


def words(found: Explained) -> str:
    """The whole answer as lines: first the customer, then what is near, then everything else."""
    near = [(moment, one.name) for one in found.scenarios for moment in one.moments]
    near.sort(key=lambda each: each[0].due)
    return "\n".join(
        [
            *_customer(found),
            "",
            "near firing, each judged as of its time and as if alone"
            if near
            else "nothing is near firing",
            *(line for moment, name in near for line in _near(name, moment, found.now)),
            "",
            "the others, if their moments came now to the profile as it stands "
            "(what begins one may change that)",
            *(line for one in found.scenarios if not one.moments for line in _far(one)),
        ]
    )


def _customer(found: Explained) -> Iterator[str]:
    judged = f"{found.version} of {found.file}" if found.file else found.version
    yield f"customer {found.customer} at {_time(found.now)}, judged by scenarios {judged}"
    for warning in found.warnings:
        yield f"  beware        {warning}"
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


def _near(name: str, moment: MomentNow, now: int) -> Iterator[str]:
    about = " ".join(dict.fromkeys(each for each in (moment.subject, moment.item) if each))
    due = f"in {_span(moment.due - now)}" if moment.due > now else "now"
    verb = "is asked again" if moment.state == "held" else "is decided"
    yield f"  {name}: {verb} {due}{f' ({about})' if about else ''}: {_verdict(moment)}"
    yield from _conditions(moment)


def _far(scenario: ScenarioNow) -> Iterator[str]:
    due = "" if scenario.next is None else f", due {_time(scenario.next)}"
    never = scenario.begins.startswith("timer ") and scenario.next is None
    verdict = "no time for it is known; then " if never else ""
    yield f"  {scenario.name} (on {scenario.begins}{due}): {verdict}{_verdict(scenario)}"
    if scenario.cooldown_until is not None:
        yield f"    cools down until {_time(scenario.cooldown_until)}"
    yield from _conditions(scenario)


def _verdict(judged: MomentNow | ScenarioNow) -> str:
    """What would come of it, and why."""
    reason, retry_at = judged.blocked_by, judged.retry_at
    depends = "depends on " + " and ".join(f"the {each}" for each in judged.depends_on)
    if reason is None:
        return depends if judged.depends_on else "would be sent"
    asked = {"when": judged.when, "recheck": judged.recheck}.get(reason)
    if asked is not None:
        return f"held back by {reason}: {asked.text}"
    if reason == "moved":
        comes = "does not come any more" if retry_at is None else f"comes at {_time(retry_at)} now"
        return f"held back by moved: its timer {comes}"
    said = f"held back by {reason}"
    if reason in _MEANINGS:
        said += f" ({_MEANINGS[reason]})"
    if retry_at is not None:
        said += f" until {_time(retry_at)}"
        if judged.depends_on:
            said += f", then {depends}"
    return said


def _conditions(judged: MomentNow | ScenarioNow) -> Iterator[str]:
    for name, condition in (("when", judged.when), ("recheck", judged.recheck)):
        if condition is None:
            continue
        if condition.holds is None:
            on = " and ".join(f"the {each}" for each in condition.depends_on)
            yield f"    {name} depends on {on}: {condition.text}"
        elif judged.blocked_by != name:
            yield f"    {name} {'holds' if condition.holds else 'does not hold'}: {condition.text}"
        values = [
            f"{key} = {_value(value)}"
            for key, value in condition.values.items()
            if key.partition(".")[0] not in condition.depends_on
        ]
        if values:
            yield f"      {', '.join(values)}"


def _value(value: Scalar) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, str):
        return repr(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _time(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _span(span_ms: int) -> str:
    if span_ms >= 2 * DAY_MS:
        return f"{span_ms / DAY_MS:.3g} d"
    if span_ms >= 2 * HOUR_MS:
        return f"{span_ms / HOUR_MS:.3g} h"
    return f"{max(1, round(span_ms / MINUTE_MS))} min"
