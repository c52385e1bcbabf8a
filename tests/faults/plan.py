"""The plan of a run: what is sent, and what it must come to. Pure: the same seed, the same plan.

Times are ms relative to the start of the run, which `wire.render` is told.
"""

from dataclasses import dataclass, replace
from random import Random
from typing import Final

from tests.faults.shoppers import DAY, LATE_ITEMS, Expectation, Script, Step, write_script

RESENT: Final = 0.10
POISONED: Final = 0.01
LATE: Final = 0.02
FORMATS: Final = (("native", 50), ("segment", 25), ("structured", 15), ("binary", 10))
ORDERS: Final = frozenset({"purchased", "refunded"})


@dataclass(frozen=True, slots=True)
class Planned:
    """One record of a raw topic. number: its place in the plan; event: the number of what it
    states, the same for what is sent again; step None: poison, its kind by `event`."""

    number: int
    event: int
    topic: str
    key: str
    form: str = "native"
    step: Step | None = None
    resent: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that is sent, in order, and the decisions that must follow, by customer."""

    records: list[Planned]
    expectations: dict[str, Expectation]

    @property
    def must(self) -> int:
        """Decisions that must exist."""
        return sum(len(expected.must) for expected in self.expectations.values())


def make_plan(seed: int, size: int, due_within: int) -> Plan:
    """A plan of exactly `size` records; the last cart comes due at `due_within` ms."""
    random = Random(seed)
    resent, poisoned, late = (round(size * share) for share in (RESENT, POISONED, LATE))
    scripts = _scripts(random, size - resent - poisoned, due_within)
    steps = _shuffled(scripts, random)
    for place in random.sample(_datable(steps), late):
        steps[place] = _late(steps[place], random)
    placed = [(float(place), _planned(place, step, random)) for place, step in enumerate(steps)]
    for place in random.sample(range(len(steps)), resent):
        again = replace(placed[place][1], resent=True)
        placed.append((place + 0.5 + random.expovariate(1 / 400), again))
    for number in range(poisoned):
        bad = Planned(0, number, "clickstream", f"c{random.randrange(99)}")
        placed.append((random.uniform(0, len(steps)), bad))
    placed.sort(key=lambda entry: entry[0])
    return Plan(
        [replace(record, number=number) for number, (_, record) in enumerate(placed)],
        {script.customer: script.expectation for script in scripts},
    )


def _scripts(random: Random, steps: int, due_within: int) -> list[Script]:
    """Scripts of exactly that many steps altogether."""
    scripts: list[Script] = []
    left = steps
    while left:
        script = write_script(len(scripts), random, due_within)
        if len(script.steps) > left:
            customer = f"c{len(scripts)}"
            filler = Step("item_viewed", -1_000, customer, fields={"item": "i0"})
            script = Script(customer, [filler] * left)
        scripts.append(script)
        left -= len(script.steps)
    return scripts


def _shuffled(scripts: list[Script], random: Random) -> list[Step]:
    """All steps, each script's in their order."""
    turns = [script for script in scripts for _ in script.steps]
    random.shuffle(turns)
    waiting = {script.customer: iter(script.steps) for script in scripts}
    return [next(waiting[script.customer]) for script in turns]


def _datable(steps: list[Step]) -> list[int]:
    return [place for place, step in enumerate(steps) if step.kind == "item_viewed"]


def _late(step: Step, random: Random) -> Step:
    # Items of their own: their hours may have left the item statistics before they are counted.
    fields = step.fields | {"item": f"{LATE_ITEMS}{random.randrange(20)}"}
    return replace(step, at=-random.randrange(2 * DAY, 20 * DAY), fields=fields, late=True)


def _planned(event: int, step: Step, random: Random) -> Planned:
    form = random.choices([name for name, _ in FORMATS], [share for _, share in FORMATS])[0]
    if step.kind in {"consent_changed", "traits_set", "order_delayed"} and form == "segment":
        form = "native"
    topic = "purchases" if step.kind in ORDERS else "clickstream"
    # A login lies where the visitor's events lie: its place among them says whose they are.
    key = step.anonymous or step.customer or ""
    return Planned(0, event, topic, key, form, step)
