"""What became of past decisions: rankings for the learned ranker, out of `decisions` and `events`.

Beside the history's builder, which hands the facts on. Pure. Which items of a decision were seen:
those that the shop reported shown, where it reports any (`offer_shown`), else all of the answer.
Clicked: what `offer_clicked` says of the decision, where the shop ever names decisions there, else
any interest of the same identity in the item within CLICK_MS. Converted: bought by that identity
within ORDER_MS. A decision that is in the log twice is one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

import msgspec
from msgspec import Struct

from services.recommend.ranker.rankings import Logged
from services.recommend.training.facts import Clicked, Ordered, Shown, Teaching
from shared.decisions import LIKENESS
from shared.events import anonymous_key, customer_key

CLICK_MS: Final = 30 * 60 * 1_000
ORDER_MS: Final = 24 * 60 * 60 * 1_000
MOST: Final = 50_000
"""Decisions that are kept, the newest: some 2 KB each."""


class _Item(Struct):
    id: str
    rank: int


class _Model(Struct):
    name: str = ""


class _Answer(Struct):
    arm: str
    items: list[_Item]
    model: _Model = msgspec.field(default_factory=_Model)


class _Decided(Struct):
    """Of shared.decisions.Decision what training reads."""

    decision_id: str
    decided_at: int
    answer: _Answer
    customer: str | None = None
    anonymous: str | None = None
    feature_names: list[str] = []
    feature_values: list[list[float | None]] = []
    propensities: list[float] = []


_decoder: Final = msgspec.json.Decoder(_Decided)


@dataclass(slots=True)
class Outcomes:
    """Decisions are taken in first, then facts, then `logged` puts them together."""

    _decisions: dict[str, _Decided] = field(default_factory=dict)
    _oldest: list[tuple[int, str]] = field(default_factory=list)
    _identities: set[str] = field(default_factory=set)
    _shown: dict[str, set[str]] = field(default_factory=dict)
    _clicked: dict[str, set[str]] = field(default_factory=dict)
    _touched: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    _bought: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    def decided(self, value: bytes | None) -> None:
        """Take in one record of `decisions`. What was not ranked teaches no order, nor does what is
        like an item, whose features say nothing of the shopper."""
        try:
            found = _decoder.decode(value or b"")
        except (msgspec.MsgspecError, RecursionError):
            return
        answer = found.answer
        ranked = answer.arm == "personalised" and answer.model.name != LIKENESS
        ranked = ranked and bool(found.feature_values)
        if not ranked or found.decision_id in self._decisions:
            return
        self._decisions[found.decision_id] = found
        heappush(self._oldest, (found.decided_at, found.decision_id))
        if len(self._decisions) > MOST:
            del self._decisions[heappop(self._oldest)[1]]
        self._identities.add(_identity(found))

    def happened(self, key: str, fact: Teaching) -> None:
        """Take in one fact of the identity `key`."""
        if isinstance(fact, Shown | Clicked) and fact.decision_id is not None:
            reported = self._shown if isinstance(fact, Shown) else self._clicked
            if fact.decision_id in self._decisions:
                reported.setdefault(fact.decision_id, set()).add(fact.item)
        if key not in self._identities or isinstance(fact, Shown):
            return
        if isinstance(fact, Ordered):
            for line in fact.lines:
                self._bought.setdefault((key, line.item), []).append(fact.occurred_at)
        else:
            self._touched.setdefault((key, fact.item), []).append(fact.occurred_at)

    def logged(self) -> list[Logged]:
        """The rankings, oldest first, equal times by decision id."""
        order = sorted(self._decisions.values(), key=lambda one: (one.decided_at, one.decision_id))
        found = map(self._ranking, order)
        return [ranking for ranking in found if ranking.values]

    def _ranking(self, decision: _Decided) -> Logged:
        count = min(len(decision.feature_values), len(decision.answer.items))
        items = decision.answer.items[:count]
        seen = self._shown.get(decision.decision_id, set())
        # what only filled the answer up was not ranked, and has no features
        places = [
            at
            for at in range(count)
            if decision.feature_values[at]
            and len(decision.feature_values[at]) == len(decision.feature_names)
            and (not self._shown or items[at].id in seen)
        ]
        chances = decision.propensities or [1.0] * count
        return Logged(
            names=decision.feature_names,
            values=[decision.feature_values[at] for at in places],
            clicked=[self._was_clicked(decision, items[at].id) for at in places],
            converted=[
                self._within(self._bought, decision, items[at].id, ORDER_MS) for at in places
            ],
            positions=[items[at].rank for at in places],
            propensities=[chances[at] for at in places],
            at=decision.decided_at,
        )

    def _was_clicked(self, decision: _Decided, item: str) -> bool:
        if self._clicked:
            return item in self._clicked.get(decision.decision_id, ())
        return self._within(self._touched, decision, item, CLICK_MS)

    def _within(
        self,
        times: dict[tuple[str, str], list[int]],
        decision: _Decided,
        item: str,
        window_ms: int,
    ) -> bool:
        happened: Sequence[int] = times.get((_identity(decision), item), ())
        begin = decision.decided_at
        return any(begin <= at <= begin + window_ms for at in happened)


def _identity(decision: _Decided) -> str:
    if decision.customer is not None:
        return customer_key(decision.customer)
    return "" if decision.anonymous is None else anonymous_key(decision.anonymous)
