"""All models of a version, one after another, and what they are measured by. Pure but for `say`.

Behind the history, before the store. A part that cannot be trained, for want of data or of a
package, is left out and said; the others go on.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.ranker.rankings import Logged
from services.recommend.similar import training as similar
from services.recommend.training import baskets, intervals, lifetime, ranker, sessions
from services.recommend.training.history import History
from services.recommend.training.holding_out import hold_out
from services.recommend.training.measuring import in_force, missing_item, next_item
from services.recommend.training.promotion import Comparison, reasons_against
from services.recommend.vectors import training as vectors
from shared.errors import AttuneError
from shared.models.part import Part
from shared.models.store import Version

Say = Callable[[str], None]
LINEAR: Final = "linear"
TREES: Final = "lambdamart"


class HasPart(Protocol):
    """What an optional trainer makes."""

    def part(self) -> Part: ...


Trainer = Callable[[History, int, Say], HasPart | None]
OPTIONAL: Final[Mapping[str, Trainer]] = {
    "intervals": intervals.train,
    "lifetime": lifetime.train,
    "vectors": vectors.train,
    "similar": similar.train,
}
"""Trainers by name of their part; where one fails the others go on."""


@dataclass(slots=True)
class Trained:
    """The parts of a version, by name; what they were measured by; name: what ranks with them;
    missing: why parts are left out; heard: all that was said."""

    parts: dict[str, Part] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    name: str = LINEAR
    missing: dict[str, str] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)

    def told(self, say: Say) -> Say:
        """A `say` that remembers: why a part is left out, its trainer said last."""

        def tell(line: str) -> None:
            self.heard.append(line)
            say(line)

        return tell

    def keep(self, name: str, part: Part | None) -> None:
        """A part, or that there is none and why."""
        if part is not None:
            self.parts[name] = part
            return
        own = [line for line in self.heard if line.startswith(f"{name}: ")]
        self.missing[name] = own[-1].removeprefix(f"{name}: ") if own else "too little data"

    @property
    def metrics(self) -> dict[str, Any]:
        """As the metadata has it: each figure beside that of whom it was compared with."""
        figures: dict[str, Any] = {}
        for one in self.comparisons:
            rows = figures.setdefault(one.metric, {"value": one.value, "cases": one.cases})
            rows[one.against] = {"value": one.other, "difference": one.difference,
                                 "ci95": list(one.ci95), "how": one.how}  # fmt: skip
        return figures

    def against(self) -> list[str]:
        """Why not to promote; nothing where nothing speaks against it."""
        return reasons_against(self.comparisons)


def train_all(
    history: History,
    current: Version | None,
    seed: int,
    say: Say,
    *,
    logged: Sequence[Logged] = (),
    choose: bool = True,
) -> Trained:
    """Every part there is data for. current: the version in force; logged: past decisions and what
    became of them; choose: settings from the data rather than the defaults."""
    trained = Trained()
    say = trained.told(say)
    held = hold_out(history)
    early = history if held is None else held.early
    settings = sessions.choose(early, seed, say) if choose else NeighbourSettings()
    if held is None:
        say("too few sessions and orders to hold any out: no figures")
    else:
        rival = in_force(current, history, held.moment)
        trained.comparisons += next_item(held, settings, rival, seed)
        trained.comparisons += missing_item(held, rival, seed)
        for one in trained.comparisons:
            say(f"{one.metric}: {one.value}, {one.against} {one.other} ({one.cases} cases)")
    trained.keep("sessions", sessions.train(history, settings))
    trained.keep("pairs", baskets.train(history))
    for name, trainer in OPTIONAL.items():
        say(f"training {name}")
        _optional(trained, name, trainer, history, seed, say)
    part, comparisons = ranker.train(logged, current, seed, say)
    trained.comparisons += comparisons
    trained.keep("ranker", part)
    trained.name = LINEAR if part is None else TREES
    return trained


def _optional(
    trained: Trained, name: str, trainer: Trainer, history: History, seed: int, say: Say
) -> None:
    try:
        made = trainer(history, seed, say)
    except (AttuneError, ImportError, ValueError, ArithmeticError) as error:
        trained.missing[name] = f"{type(error).__name__}: {error}"
        say(f"{name}: left out ({trained.missing[name]})")
        return
    trained.keep(name, None if made is None else made.part())
