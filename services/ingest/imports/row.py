"""One row of the file becomes fields of one fact, or is excluded with a reason. Pure.

`records` reads the rows, `orders` puts the fields of rows together. What a row becomes depends on
the row alone.
"""

import re
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Names
from functools import lru_cache
from typing import Any, Final, TypeAlias

from msgspec import Struct

from services.ingest.imports.mapping import FactRule, Mapping, Test
from services.ingest.imports.mapping_rules import required_fields
from services.ingest.imports.values import REMEMBERED, Reader, Value, as_text, reader
from shared.errors import EventRefused, InvalidInput

Fields: TypeAlias = dict[str, Value]
Condition: TypeAlias = Callable[[Fields], bool]

NO_FACT: Final = "no_fact"
NO_IDENTITY: Final = "missing_identity"
_NUMBERS: Final = (int, float)


class Excluded(Struct, frozen=True):
    """A row that no fact is made of. reason: counted, such as `not_a_product` or `bad_price`."""

    reason: str


class Taken(Struct, frozen=True):
    """A row as fields of a fact of this kind."""

    kind: str
    fields: Fields


class RowReader:
    """A mapping made ready for rows with these columns. Reasons of exclusion are its own names,
    `bad_<field>`, `missing_<field>`, `no_fact` and `missing_identity`."""

    def __init__(self, mapping: Mapping) -> None:
        self._cells: list[tuple[str, str, Reader]] = [
            (name, column.column, reader(name, column, mapping))
            for name, column in mapping.columns.items()
            if column.column is not None
        ]
        self._constants: Fields = {
            name: column.constant
            for name, column in mapping.columns.items()
            if column.constant is not None
        }
        if mapping.currency is not None:
            self._constants.setdefault("currency", mapping.currency)
        self._exclusions = [
            (Excluded(rule.reason), condition(rule.when)) for rule in mapping.exclude
        ]
        self._rules = [(rule, condition(rule.when), needs(rule)) for rule in mapping.facts]
        self._anonymous = mapping.without_customer

    def read(self, cells: Names[str, Any]) -> Taken | Excluded:
        """What the row with these cells is; absent cells count as empty."""
        fields = dict(self._constants)
        for name, column, read in self._cells:
            cell = cells.get(column)
            text = cell.strip() if type(cell) is str else as_text(cell)
            if not text:
                continue
            try:
                fields[name] = read(text)
            except (ValueError, EventRefused):
                return Excluded(f"bad_{name}")
        for excluded, holds in self._exclusions:
            if holds(fields):
                return excluded
        for rule, holds, needed in self._rules:
            if holds(fields):
                return self._taken(rule, needed, fields)
        return Excluded(NO_FACT)

    def _taken(self, rule: FactRule, needed: Iterable[str], fields: Fields) -> Taken | Excluded:
        for name in needed:
            if name not in fields:
                return Excluded(f"missing_{name}")
        for name in rule.negate:
            if name in fields:
                fields[name] = _negated(fields[name])
        if "customer" not in fields and "anonymous" not in fields:
            if self._anonymous is None:
                return Excluded(NO_IDENTITY)
            try:
                fields["anonymous"] = self._anonymous.format_map(fields)
            except KeyError:
                return Excluded(NO_IDENTITY)
        return Taken(rule.type, fields)


def _negated(value: Value) -> Value:
    return value if isinstance(value, str) else -value


def needs(rule: FactRule) -> tuple[str, ...]:
    """Fields that a row of this rule must fill, in one order."""
    return tuple(sorted(required_fields(rule.type)))


def condition(tests: dict[str, Test]) -> Condition:
    """Whether all tests hold for a row's fields."""
    checks = [(name, _check(test)) for name, test in tests.items()]
    if len(checks) == 1:
        only, check = checks[0]
        return lambda fields: check(fields.get(only))
    if len(checks) == 2:
        (first, check), (second, further) = checks
        return lambda fields: check(fields.get(first)) and further(fields.get(second))
    return lambda fields: all(check(fields.get(name)) for name, check in checks)


def _check(test: Test) -> Callable[[Value | None], bool]:
    parts: list[Callable[[Value | None], bool]] = []
    if test.matches is not None:
        parts.append(_matching(test.matches))
    if test.not_matches is not None:
        differs = _matching(test.not_matches)
        parts.append(lambda value: not differs(value))
    if test.one_of is not None:
        among = frozenset(test.one_of)
        parts.append(lambda value: value in among)
    if test.at_most is not None:
        highest = test.at_most
        parts.append(lambda value: isinstance(value, _NUMBERS) and value <= highest)
    if test.at_least is not None:
        lowest = test.at_least
        parts.append(lambda value: isinstance(value, _NUMBERS) and value >= lowest)
    if test.empty is not None:
        wanted = test.empty
        parts.append(lambda value: (value is None) is wanted)
    if len(parts) == 1:
        return parts[0]
    return lambda value: all(part(value) for part in parts)


def _matching(pattern: str) -> Callable[[Value | None], bool]:
    """Whether the whole text matches; ids repeat from row to row, so it remembers."""
    compiled = re.compile(pattern)

    @lru_cache(maxsize=REMEMBERED)
    def matches(value: Value | None) -> bool:
        return value is not None and compiled.fullmatch(str(value)) is not None

    return matches


def check_columns(mapping: Mapping, present: Iterable[str], where: str) -> None:
    """Raises InvalidInput that names each column the file lacks, and those it has."""
    there = list(present)
    wanted = [entry.column for entry in mapping.columns.values() if entry.column is not None]
    missing = sorted(set(wanted) - set(there))
    if missing:
        names = ", ".join(missing)
        raise InvalidInput(f"{where}: no column {names}; its columns: {', '.join(there)}")
