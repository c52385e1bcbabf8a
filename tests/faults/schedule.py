"""When what breaks: the faults of a run, in order, as a pure function of its seed.

A fault begins once so many records were sent; while it lasts, sending goes on.
"""

from dataclasses import dataclass
from random import Random
from typing import Final, Literal

Action = Literal[
    "kill", "crash", "join", "leave", "broker", "redis", "redis_restored", "storm", "rebuild"
]

CRASH_POINTS: Final = {
    "ingest": ("before_flush", "after_flush", "before_commit", "after_commit"),
    "profile": (
        "before_items",
        "before_schedule",
        "before_save",
        "after_save",
        "before_publish",
        "after_publish",
        "before_commit",
        "after_commit",
    ),
}
"""Places in a batch where a process started by `broken` kills itself, as kill -9 would."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. at: records sent before it begins; target: the process; down_s: how long what was
    killed stays away; wait_s: pause before it strikes; point, visits: where in a batch, and at
    which visit, for `crash`."""

    at: int
    action: Action
    target: str = ""
    down_s: float = 0.0
    wait_s: float = 0.0
    point: str = ""
    visits: int = 1


@dataclass(frozen=True, slots=True)
class Shape:
    """How much a form of the harness breaks, and on how many members.

    due_within_s: until when carts come due; rate: records a second; most_s: what takes longer has
    hung.
    """

    events: int
    kills: int
    rebalances: int
    bounces: int
    redis_kills: int
    rebuilds: int
    storms: int
    members: dict[str, int]
    due_within_s: int
    rate: int
    most_s: int


SHORT: Final = Shape(20_000, 6, 2, 1, 1, 1, 0, {"ingest": 1, "profile": 2}, 60, 600, 420)
LONG: Final = Shape(150_000, 36, 8, 6, 4, 3, 2, {"ingest": 2, "profile": 3}, 500, 600, 2_700)
FORMS: Final = {"short": SHORT, "long": LONG}


def make_schedule(seed: int, shape: Shape) -> list[Fault]:
    """The faults in the order in which they begin, spread over the run."""
    random = Random(f"faults {seed}")
    actions = [_kill(random, shape, number) for number in range(shape.kills)]
    actions += [("broker", "", "")] * shape.bounces
    actions += [("storm", "", "")] * shape.storms
    actions += [("rebuild", "", "")] * shape.rebuilds
    # The first Redis kill of a run loses acknowledged writes for sure.
    restored = [number % 2 == 0 for number in range(shape.redis_kills)]
    actions += [("redis_restored" if lost else "redis", "", "") for lost in restored]
    random.shuffle(actions)
    # Joining and leaving alternate, each a rebalance, each with faults in between.
    for number in range(shape.rebalances):
        group = "ingest" if number % 4 >= 2 else "profile"
        place = (2 * number + 1) * len(actions) // (2 * shape.rebalances + 1)
        actions.insert(place, ("join" if number % 2 == 0 else "leave", f"{group}-extra", ""))
    gap = shape.events / (len(actions) + 1)
    return [
        Fault(
            at=int(gap * (place + 0.5 + 0.5 * random.random())),
            action=action,  # type: ignore[arg-type]
            target=target,
            down_s=round(random.uniform(0.0, 2.0), 3),
            wait_s=round(random.uniform(0.0, 0.4), 3),
            point=point,
            visits=1 if "commit" in point else random.randrange(1, 6),
        )
        for place, (action, target, point) in enumerate(actions)
    ]


def _kill(random: Random, shape: Shape, number: int) -> tuple[str, str, str]:
    """Kills take turns between the services; every other one strikes inside a batch."""
    service = "profile" if number % 3 else "ingest"
    target = f"{service}-{random.randrange(shape.members[service])}"
    if number % 2:
        return "crash", target, random.choice(CRASH_POINTS[service])
    return "kill", target, ""
