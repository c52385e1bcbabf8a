"""What analysts may ask the archive's tables about, beside the record itself: columns by topic.

`archive_rows` puts them beside the record's own columns. They are read out of the record's value
and never stand in its way: where the value is no fact (or no decision), all of them are null.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from arro3.core import Array, DataType, Field, list_array

from shared.decisions import Decision, decode_decision
from shared.events import AnyFact, decode, fact_type
from shared.topics import DECISIONS, EVENTS

TEXT: Final = DataType.utf8()
INTEGER: Final = DataType.int64()
TIME: Final = DataType.timestamp("us", tz="UTC")
TEXTS: Final = DataType.list(Field("element", TEXT))


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table; `of` reads it out of a fact or a decision."""

    name: str
    kind: DataType
    of: Callable[[Any], Any]

    @property
    def field(self) -> Field:
        """As the table's schema has it."""
        return Field(self.name, self.kind)

    def array(self, messages: Sequence[Any]) -> Array:
        """The column of these messages, None where a record held none."""
        values = [None if message is None else self.of(message) for message in messages]
        if self.kind is TIME:
            micros = [None if value is None else value * 1_000 for value in values]
            return Array(micros, INTEGER).cast(TIME)
        if self.kind is TEXTS:
            return _lists(values)
        return Array(values, self.kind)


def _lists(values: Sequence[list[str] | None]) -> Array:
    whole = [value or [] for value in values]
    offsets = np.zeros(len(whole) + 1, np.int32)
    np.cumsum([len(value) for value in whole], out=offsets[1:])
    flat = Array([text for value in whole for text in value], TEXT)
    return list_array(Array.from_numpy(offsets), flat, type=TEXTS)


def _attribute(name: str) -> Callable[[Any], Any]:
    return lambda message: getattr(message, name, None)


def _plain(kind: DataType, *names: str) -> tuple[Column, ...]:
    return tuple(Column(name, kind, _attribute(name)) for name in names)


def _answer(name: str) -> Callable[[Decision], Any]:
    return lambda decision: getattr(decision.answer, name)


def _offered(decision: Decision) -> list[str]:
    return [item.id for item in decision.answer.items]


_OF_EVENTS: Final = (
    Column("type", TEXT, fact_type),
    *_plain(TEXT, "event_id", "customer", "anonymous"),
    *_plain(TIME, "occurred_at", "received_at"),
    *_plain(TEXT, "source", "cause", "item", "category", "brand"),
    *_plain(INTEGER, "quantity", "price", "total"),
    *_plain(TEXT, "currency"),
    Column("order_id", TEXT, _attribute("order")),
)
"""`price` and `total` in minor units of `currency`, as in the fact; times to the millisecond."""

_OF_DECISIONS: Final = (
    *_plain(TEXT, "decision_id", "customer", "anonymous", "placement"),
    *_plain(TIME, "decided_at"),
    *(Column(name, TEXT, _answer(name)) for name in ("arm", "fallback", "consent_mode")),
    Column("model", TEXT, lambda decision: decision.answer.model.name),
    Column("model_version", TEXT, lambda decision: decision.answer.model.version),
    Column("profile_age_ms", INTEGER, _answer("profile_age_ms")),
    Column("items", TEXTS, _offered),
)
"""`items`: the ids offered, in the order of the answer."""

COLUMNS: Final[dict[str, tuple[Column, ...]]] = {
    EVENTS.name: _OF_EVENTS,
    DECISIONS.name: _OF_DECISIONS,
}
_DECODERS: Final[dict[str, Callable[[bytes], AnyFact | Decision]]] = {
    EVENTS.name: decode,
    DECISIONS.name: decode_decision,
}


def read_message(topic: str, value: bytes | None) -> AnyFact | Decision | None:
    """The fact or decision in a record of the table's topic; None where it holds none."""
    try:
        return None if value is None else _DECODERS[topic](value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
