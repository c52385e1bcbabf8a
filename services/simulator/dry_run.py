"""The simulated shop in process, against any recommender: no I/O, so thousands of visits a second.

It holds the simulator to its word: without an effect of offers no lift may appear.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from services.simulator.actions import Ask, Event, Offers, Outcome, Pause, Reply, Script
from services.simulator.afterwards import busy_at
from services.simulator.clock import DAY_MS, MINUTE_MS
from services.simulator.conversion import Conversions
from services.simulator.shopper import Shopper, next_visit_in, population
from services.simulator.visit import visit
from services.simulator.world import World

Recommender: TypeAlias = Callable[[Shopper, Ask], Offers]


@dataclass(slots=True)
class DryRun:
    """What happened: every event sent, and conversions by arm."""

    events: list[dict[str, Any]] = field(default_factory=list)
    visits: int = 0
    conversions: Conversions = field(default_factory=Conversions)


def simulate(world: World, recommender: Recommender, *, start: int, days: float) -> DryRun:
    """Runs the world's shoppers from `start` (business epoch ms) for some days."""
    run = DryRun()
    shoppers = population(world, start)
    queue = [(start + next_visit_in(shopper), number) for number, shopper in enumerate(shoppers)]
    heapq.heapify(queue)
    while queue and queue[0][0] < start + days * DAY_MS:
        at, number = heapq.heappop(queue)
        shopper = shoppers[number]
        if at < shopper.traits.leaves_at and shopper.random.random() < busy_at(int(at)):
            now, outcome = _carry_out(
                visit(world, shopper, int(at)), shopper, int(at), run, recommender
            )
            run.visits += 1
            if outcome.arm is not None:
                run.conversions.add(shopper.traits.customer, outcome.arm, bool(outcome.orders))
            at = now
        heapq.heappush(queue, (at + next_visit_in(shopper), number))
    return run


def _carry_out(
    script: Script, shopper: Shopper, now: int, run: DryRun, recommender: Recommender
) -> tuple[int, Outcome]:
    reply: Reply | None = None
    while True:
        try:
            action = next(script) if reply is None else script.send(reply)
        except StopIteration as stop:
            return now, stop.value
        offers = None
        if isinstance(action, Event):
            run.events.append(action.body)
        elif isinstance(action, Pause):
            now += int(action.minutes * MINUTE_MS)
        else:
            offers = recommender(shopper, action)
        reply = Reply(now, offers)
