"""A request's filters on item fields, as a mask over the rows of the catalogue.

Between the request (request.py says what may be asked) and the pipeline, which withholds the rows
that the mask refuses. Pure: times are arguments.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, TypeAlias

import numpy as np

from services.recommend.availability import REFRESH_MS
from services.recommend.catalogue.columns import Mask
from services.recommend.catalogue.fields import OWN, FieldColumn
from services.recommend.catalogue.index import Catalogue
from services.recommend.request import Condition, Filters, Scalar
from shared.errors import InvalidInput

ITEM: Final = "item"
CURRENCY: Final = "currency"
FIELD_PREFIX: Final = "fields."
MOST_MASKS: Final = 256
MOST_BYTES: Final = 16 * 1_048_576
"""Of masks that are kept: few of a large catalogue."""

Rule: TypeAlias = tuple[str, tuple[Scalar, ...] | None, tuple[Scalar, ...], float, float]
"""Field, any of, none of, and the bounds of its number (infinite: none)."""
Rules: TypeAlias = tuple[Rule, ...]


def rules_of(filters: Filters) -> Rules:
    """The filters in their canonical form: by field, values sorted. Raises InvalidInput, naming
    the field, for a condition that says nothing or that nothing can meet."""
    rules = [_rule(name, given) for name, given in filters.items()]
    return tuple(sorted(rules, key=lambda rule: rule[0]))


def _rule(name: str, given: Condition | Scalar) -> Rule:
    own = name.removeprefix(FIELD_PREFIX)
    if not isinstance(given, Condition):
        return own, (given,), (), -math.inf, math.inf
    if given == Condition():
        raise InvalidInput(f"filters.{name}: one of any_of, none_of, at_least, at_most is expected")
    low = -math.inf if given.at_least is None else given.at_least
    high = math.inf if given.at_most is None else given.at_most
    if low > high:
        raise InvalidInput(f"filters.{name}: at_least is greater than at_most")
    any_of = None if given.any_of is None else _sorted(given.any_of)
    return own, any_of, _sorted(given.none_of or ()), low, high


def _sorted(values: Iterable[Scalar]) -> tuple[Scalar, ...]:
    return tuple(sorted(values, key=lambda value: (str(type(value)), value)))


def unknown_fields(rules: Rules, catalogue: Catalogue) -> list[str]:
    """Fields that no item ever had: a filter on one of them is likely a slip."""
    known = {*catalogue.fields.names(), *OWN, ITEM, CURRENCY}
    return [rule[0] for rule in rules if rule[0] not in known]


def judge(rules: Rules, catalogue: Catalogue) -> Mask:
    """By row: whether the item meets all rules. An item without the field meets none_of only."""
    mask = np.ones(catalogue.columns.size, dtype=np.bool_)
    for name, any_of, none_of, low, high in rules:
        if any_of is not None:
            mask &= _having(catalogue, name, any_of)
        if none_of:
            mask &= ~_having(catalogue, name, none_of)
        if low > -math.inf or high < math.inf:
            column = catalogue.fields.column(name)
            mask &= False if column is None else column.between(low, high, len(mask))
    return mask


def _having(catalogue: Catalogue, name: str, values: Iterable[Scalar]) -> Mask:
    size = catalogue.columns.size
    if name == ITEM:
        mask = np.zeros(size, dtype=np.bool_)
        mask[catalogue.rows(value for value in values if isinstance(value, str))] = True
        return mask
    if name == CURRENCY:
        codes = [catalogue.currencies.find(value) for value in values if isinstance(value, str)]
        known = [code for code in codes if code >= 0]
        return np.isin(catalogue.columns.currency[:size], known)
    column = catalogue.fields.column(name)
    if column is None:
        return np.zeros(size, dtype=np.bool_)
    return _valued(column, values, size)


def _valued(column: FieldColumn, values: Iterable[Scalar], size: int) -> Mask:
    texts: list[str] = []
    numbers: list[float] = []
    for value in values:
        if isinstance(value, bool):
            texts.append("true" if value else "false")
        elif isinstance(value, str):
            texts.append(value)
        else:
            numbers.append(value)
    mask = column.having(texts, size) if texts else np.zeros(size, dtype=np.bool_)
    for number in numbers:
        mask |= column.between(number, number, size)
    return mask


@dataclass(slots=True)
class FilterMasks:
    """Masks of late, by canonical rules: the same filters come with each request of a page. At
    most REFRESH_MS behind the catalogue, as availability is; the one unused for longest goes."""

    catalogue: Catalogue
    _kept: dict[str, tuple[Mask, int, int]] = field(default_factory=dict)
    """By the rules as they read, since 1 equals true and means something else: the mask, the
    catalogue's version, the real ms it was made at; the latest used last."""

    def mask(self, filters: Filters, real_ms: int) -> Mask | None:
        """By row: whether the item may be offered; None without filters. Raises InvalidInput."""
        if not filters:
            return None
        rules = rules_of(filters)
        name = repr(rules)
        kept = self._kept.pop(name, None)
        if kept is None or not self._good(kept, real_ms):
            kept = judge(rules, self.catalogue), self.catalogue.version, real_ms
        most = min(MOST_MASKS, MOST_BYTES // max(len(kept[0]), 1))
        while self._kept and len(self._kept) >= most:
            del self._kept[next(iter(self._kept))]
        self._kept[name] = kept
        return kept[0]

    def _good(self, kept: tuple[Mask, int, int], real_ms: int) -> bool:
        return kept[1] == self.catalogue.version or 0 <= real_ms - kept[2] < REFRESH_MS
