"""What messages brought, for `attune bench triggers`: revenue against the holdout, weeks. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from services.commands.bench.triggers_calendar import Moment
from services.commands.bench.triggers_record import Gathered
from services.commands.bench.triggers_rules import Rules

WEEK_MS: Final = 7 * 86_400_000
REPLICATES: Final = 2_000
ARMS: Final = ("treated", "held_out")
NOISE: Final = 2.45
"""Standard deviations: of seven comparisons none is beyond it by chance, 19 times of 20."""
LAST_SHARE: Final = 0.25
NEVER: Final = frozenset({"consent", "holdout"})
"""Reasons for which nobody would have spoken."""


def incremental_revenue(gathered: Gathered, until: int, seed: int) -> dict[str, Any]:
    """Mean revenue of a treated customer less that of one held out, minor units.

    From when the arm was assigned; customers with conflicting arms are left out. ci95: percentiles
    of a bootstrap over customers; None where an arm is empty.
    """
    spent: dict[str, list[float]] = {arm: [] for arm in ARMS}
    contaminated = 0
    for customer, (arm, since) in sorted(gathered.assigned.items()):
        if customer in gathered.contaminated:
            contaminated += 1
            continue
        orders = gathered.revenue.get(customer, [])
        spent[arm].append(float(sum(total for at, total in orders if since <= at < until)))
    treated, held_out = (np.array(spent[arm]) for arm in ARMS)
    counts = {"treated": len(treated), "held_out": len(held_out), "contaminated": contaminated}
    if not counts["treated"] or not counts["held_out"]:
        return {"estimate": None, "ci95": [None, None], "customers": counts}
    draw = np.random.default_rng(seed)
    differences = _means(treated, draw) - _means(held_out, draw)
    low, high = np.quantile(differences, (0.025, 0.975))
    return {
        "estimate": round(float(treated.mean() - held_out.mean()), 1),
        "ci95": [round(float(low), 1), round(float(high), 1)],
        "mean": {
            "treated": round(float(treated.mean()), 1),
            "held_out": round(float(held_out.mean()), 1),
        },
        "customers": counts,
    }


def _means(values: npt.NDArray[np.float64], draw: np.random.Generator) -> npt.NDArray[np.float64]:
    chosen = draw.integers(0, len(values), size=(REPLICATES, len(values)))
    means: npt.NDArray[np.float64] = values[chosen].mean(axis=1)
    return means


def volume_per_week(gathered: Gathered, begin: int, until: int) -> list[int]:
    """Messages sent in each week since the beginning."""
    sent = [each.at for each in gathered.verdicts if each.verdict == "send"]
    return _by_week(sent, begin, until)


def moments_of(gathered: Gathered, rules: Rules) -> list[Moment]:
    """The moments of which somebody might have been told: each once, when it first came."""
    return [
        Moment(
            each.trigger,
            each.customer,
            each.scenario,
            each.channel,
            each.at,
            rules.kinds[each.scenario].purpose in rules.free,
        )
        for each in gathered.verdicts
        if each.attempt == 1 and each.reason not in NEVER
    ]


def counted(gathered: Gathered) -> dict[str, Any]:
    """Decisions by verdict, and what was not sent by reason; each attempt is a decision."""
    verdicts = Counter(each.verdict for each in gathered.verdicts)
    reasons = Counter(each.reason for each in gathered.verdicts if each.verdict == "suppress")
    waits = Counter(each.reason for each in gathered.verdicts if each.verdict == "hold")
    sent = Counter(each.scenario for each in gathered.verdicts if each.verdict == "send")
    return {
        "decisions": len(gathered.verdicts),
        "sent": verdicts["send"],
        "held": verdicts["hold"],
        "suppressed": ordered(reasons),
        "held_for": ordered(waits),
        "sent_by_scenario": ordered(sent),
    }


def ordered(counts: Mapping[str, int]) -> dict[str, int]:
    """The most frequent first."""
    return dict(sorted(counts.items(), key=lambda each: (-each[1], each[0])))


def moments_per_week(gathered: Gathered, begin: int, until: int) -> list[int]:
    """Moments that came to be decided in each week, each once: what there was to say."""
    firsts = [each.at for each in gathered.verdicts if each.attempt == 1]
    return _by_week(firsts, begin, until)


def rises(volumes: Sequence[int], moments: Sequence[int] | None = None) -> list[int]:
    """Weeks, the first being 0, that carry more than the one before, by more than chance.

    Chance: NOISE standard deviations of the difference of two counts that are Poisson. moments: by
    week; where they are given, more to say allows for as much more to be said, and no less.
    """
    found = []
    for week in range(1, len(volumes)):
        before, now = volumes[week - 1], volumes[week]
        more = 1.0
        if moments is not None and moments[week - 1]:
            more = max(1.0, moments[week] / moments[week - 1])
        if now > before * more + NOISE * sqrt(before + now):
            found.append(week)
    return found


def falls(volumes: Sequence[int], moments: Sequence[int]) -> bool:
    """Whether whole weeks carry less and less: none rises, and the last carries at most a quarter
    of the first (half of it where there are less than four weeks)."""
    if len(volumes) < 2:
        return False
    share = LAST_SHARE if len(volumes) >= 4 else 2 * LAST_SHARE
    return not rises(volumes, moments) and volumes[-1] <= share * volumes[0]


def whole_weeks(counts: Sequence[int], begin: int, until: int) -> list[int]:
    """Without the last week, where it is not a whole one."""
    return list(counts[: (until - begin) // WEEK_MS])


def _by_week(times: Iterable[int], begin: int, until: int) -> list[int]:
    weeks = Counter((at - begin) // WEEK_MS for at in times if begin <= at < until)
    return [weeks[week] for week in range(-(-(until - begin) // WEEK_MS))]
