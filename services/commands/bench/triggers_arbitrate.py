"""What one decision of the arbiter costs, for `attune bench triggers`: on real standings.

The customers are those whom the simulated part has left in the store, the candidates those that its
log says competed; CPU time in process, standing included, one call at a time.
"""

import gc
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from services.commands.bench.triggers_record import Verdict
from services.profile.arbiter.decide import Candidate, arbitrate
from services.profile.arbiter.standing import standing_of
from services.profile.identity import Identity
from services.profile.scenarios.book import Book
from services.profile.scenarios.holding import load
from services.profile.verify.check import live_store
from services.simulator.clock import DAY_MS
from services.simulator.latencies import percentile
from shared.events import customer_key
from shared.settings import Settings
from shared.store import open_redis

MOST: Final = 50_000
CHUNK: Final = 500
WARM_UP: Final = 500
VALUE: Final = 400.0
"""Minor units: enough that no question ends early for being worth nothing."""


async def time_decisions(
    settings: Settings, scenarios: Path, verdicts: Sequence[Verdict], until: int
) -> dict[str, Any]:
    """Microseconds of CPU a decision: mean, p50 and p99 over calls; n: decisions timed. until: the
    end of the simulated time, epoch ms; the questions are asked within the day after it."""
    book = load(scenarios)
    together: dict[tuple[str, int], list[Verdict]] = defaultdict(list)
    for each in verdicts[-MOST:]:
        together[each.customer, each.at].append(each)
    keys = sorted({customer_key(customer) for customer, _ in together})
    found: dict[str, Identity] = {}
    async with open_redis(settings) as redis:
        store = await live_store(settings, redis)
        for start in range(0, len(keys), CHUNK):
            found |= await store.load(keys[start : start + CHUNK])
    asked = [
        (
            found[customer_key(customer)],
            [_candidate(each, book, until) for each in group],
            until + at % DAY_MS,
        )
        for (customer, at), group in together.items()
    ]
    for identity, candidates, at in asked[:WARM_UP]:
        _time(identity, candidates, book, at)
    gc.collect()
    gc.freeze()
    taken = [_time(identity, candidates, book, at) for identity, candidates, at in asked]
    return {
        "mean": round(fmean(taken), 1) if taken else 0.0,
        "p50": round(percentile(taken, 0.5) or 0.0, 1),
        "p99": round(percentile(taken, 0.99) or 0.0, 1),
        "n": sum(len(candidates) for _, candidates, _ in asked),
    }


def _time(identity: Identity, candidates: Sequence[Candidate], book: Book, at: int) -> float:
    profile = identity.profile
    begun = time.thread_time_ns()
    customer, zone = identity.key[2:], book.policy.zone
    standing = standing_of(customer, profile.component, profile.contact, zone)
    arbitrate(standing, candidates, book.policy, at)
    return (time.thread_time_ns() - begun) / 1000 / len(candidates)


def _candidate(verdict: Verdict, book: Book, until: int) -> Candidate:
    scenario = next(each for each in book.scenarios if each.name == verdict.scenario)
    return Candidate(
        # Not the trigger's own id: that one the customer has had, and it would end the question.
        trigger_id=f"again-{verdict.trigger}",
        scenario=scenario.name,
        purpose=scenario.purpose,
        channels=scenario.channels,
        expires_at=until + DAY_MS + scenario.life_ms,
        value=VALUE,
        tags=scenario.tags,
        cooldown_ms=0,
        on_conflict=scenario.on_conflict,
    )
