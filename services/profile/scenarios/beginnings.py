"""What begins a scenario: the field `on`. Pure."""

from collections.abc import Mapping
from typing import Final, Literal

from services.profile.arbiter.policy import DAY_MS, HOUR_MS
from services.profile.scenarios.book import OnFact, OnItem, OnTimer
from services.profile.scenarios.nodes import Node, ScalarNode, SequenceNode, line_of
from services.profile.scenarios.problems import Place
from services.profile.scenarios.scalar_shapes import (
    Clock,
    Duration,
    Json,
    Number,
    OneOf,
    Shape,
    scalar,
)
from services.profile.scenarios.shapes import ListOf, mapping
from shared.advice import did_you_mean
from shared.events import INPUT_TYPES

ITEM_CHANGED: Final = "item_changed"
Interest = Literal["viewed", "carted", "wished"]
INTERESTS: Final[tuple[Interest, ...]] = ("viewed", "carted", "wished")
_STATED: Final = frozenset(["segment_entered", "segment_left", "stage_changed"])
FACTS: Final = tuple(sorted(INPUT_TYPES - {"erasure_requested"} | _STATED))
NO_TIME_OF_DAY: Final = -1
_DAYS: Final = Number(-366, 366, whole=True)
_PARAMETERS: Final[Mapping[str, Shape[float]]] = {
    "days": _DAYS,
    "at": Clock(),
    "after": Duration(HOUR_MS, 5 * 365 * DAY_MS),
    "below": Number(0.001, 0.999),
}
_DATED: Final = ("days", "at")
TIMERS: Final[Mapping[str, tuple[str, ...]]] = {
    "birthday": _DATED,
    "occasion": _DATED,
    "anniversary": _DATED,
    "replenishment": _DATED,
    "next_purchase": _DATED,
    "churn_risk": ("below", "at"),
    "inactive": ("after", "at"),
}
"""Timer → its parameters."""
_NEEDED: Final = {"churn_risk": "below", "inactive": "after"}
_INTERESTS: Final = ListOf(OneOf(INTERESTS, "interest"), 1, 3, distinct=True)


class Beginning:
    """`cart_added`, `item_changed`, `{item_changed: [wished]}` or `{timer: birthday, days: 7}`."""

    def read(self, node: Node, place: Place) -> OnFact | OnItem | OnTimer | None:
        if isinstance(node, ScalarNode):
            return self._word(node, place)
        if isinstance(node, SequenceNode):
            what, fix = "a list, but one thing begins a scenario", "write a scenario for each"
            place.refuse(line_of(node), what, fix)
            return None
        pairs = mapping(node, place)
        if pairs is None:
            return None
        if ITEM_CHANGED in pairs and len(pairs) == 1:
            found = _INTERESTS.read(pairs[ITEM_CHANGED], place.into(ITEM_CHANGED))
            chosen = [interest for interest in INTERESTS if interest in (found or ())]
            return OnItem(interest=frozenset(chosen)) if chosen else None
        if "timer" in pairs:
            return self._timer(pairs, node, place)
        fix = "write a fact such as cart_added, {item_changed: [wished]} or {timer: birthday}"
        place.refuse(line_of(node), "neither a fact, item_changed nor a timer", fix)
        return None

    def _word(self, node: Node, place: Place) -> OnFact | OnItem | None:
        text = scalar(node, place, "a fact such as cart_added")
        if text is None:
            return None
        if text == ITEM_CHANGED:
            return OnItem(interest=frozenset(INTERESTS))
        if text in FACTS:
            return OnFact(fact=text)
        if text in TIMERS:
            place.refuse(line_of(node), f"{text} is a timer", f"write {{timer: {text}}}")
            return None
        fix = did_you_mean(text, (*FACTS, ITEM_CHANGED), "see the facts in the guide")
        place.refuse(line_of(node), f"there is no fact {text} to begin with", fix)
        return None

    def _timer(self, pairs: Mapping[str, Node], node: Node, place: Place) -> OnTimer | None:
        timer = OneOf(tuple(TIMERS), "timer").read(pairs["timer"], place.into("timer"))
        if timer is None:
            return None
        found: dict[str, float] = {}
        for name, value in pairs.items():
            if name in TIMERS[timer]:
                read = _PARAMETERS[name].read(value, place.into(name))
                found |= {} if read is None else {name: read}
            elif name != "timer":
                fix = did_you_mean(name, TIMERS[timer], f"it has {', '.join(TIMERS[timer])}")
                place.refuse(line_of(value), f"the timer {timer} has no {name}", fix)
        needed = _NEEDED.get(timer)
        if needed is not None and needed not in pairs:
            fix = "add after: 30d" if needed == "after" else "add below: 0.5"
            place.refuse(line_of(node), f"the timer {timer} needs {needed}", fix)
        no_time = NO_TIME_OF_DAY if timer == "inactive" else 600
        return OnTimer(
            timer=timer,
            days=int(found.get("days", 0)),
            at_minute=int(found.get("at", no_time)),
            after_ms=int(found.get("after", 0)),
            below=found.get("below", 0.0),
        )

    def schema(self) -> Json:
        timers: list[Json] = [
            {
                "type": "object",
                "properties": {
                    "timer": {"const": timer},
                    **{name: _PARAMETERS[name].schema() for name in names},
                },
                "required": ["timer", *filter(None, [_NEEDED.get(timer)])],
                "additionalProperties": False,
            }
            for timer, names in TIMERS.items()
        ]
        change = {
            "type": "object",
            "properties": {ITEM_CHANGED: _INTERESTS.schema()},
            "required": [ITEM_CHANGED],
            "additionalProperties": False,
        }
        return {"anyOf": [{"enum": [*FACTS, ITEM_CHANGED]}, change, *timers]}
