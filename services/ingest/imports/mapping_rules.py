"""What must hold in a mapping beyond its types: fields that exist, patterns that compile. Pure."""

from __future__ import annotations

import codecs
import re
from string import Formatter
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from msgspec import structs

from services.ingest.money import EXPONENTS
from shared.errors import InvalidInput
from shared.events import FACT_TYPES, INPUT_TYPES, Line

if TYPE_CHECKING:
    from services.ingest.imports.mapping import Mapping, Test

OWN: Final = frozenset({"received_at", "source", "cause", "claimed_customer", "extra"})
"""Fields of a fact that an import never states."""
LINE_FIELDS: Final = frozenset(Line.__struct_fields__)
MADE: Final = frozenset({"received_at", "event_id", "lines", "total", "currency"})
"""Fields that the import makes itself where no column gives them."""
WITHOUT_COLUMN: Final = frozenset({"lines", "items", "traits"})
"""Fields that hold a list or an object, which no cell of a row does."""
MAPPABLE: Final = INPUT_TYPES - {"traits_set"}
CATALOGUE_FIELDS: Final = frozenset({"title"})
_TYPES: Final = {
    "occurred_at": "time",
    "price": "money",
    "total": "money",
    "quantity": "integer",
    "rating": "number",
    "score": "number",
}
"""Fields whose columns must be of one type."""


def fact_fields(kind: str) -> frozenset[str]:
    """Fields that a column may give for this fact, those of its lines among them."""
    fields = frozenset(FACT_TYPES[kind].__struct_fields__) - OWN - WITHOUT_COLUMN
    return fields | LINE_FIELDS if has_lines(kind) else fields


def has_lines(kind: str) -> bool:
    """Whether rows can be lines of this fact."""
    return "lines" in FACT_TYPES[kind].__struct_fields__


def required_fields(kind: str) -> frozenset[str]:
    """Fields that a row of this fact must fill; `total` is summed, `event_id` is made."""
    needed = mandatory(kind)
    if has_lines(kind):
        needed |= {"item", "price"} if "total" in needed else {"item"}
    return frozenset(needed - MADE)


def mandatory(kind: str) -> set[str]:
    """Fields without which the fact is none."""
    return {field.encode_name for field in structs.fields(FACT_TYPES[kind]) if field.required}


def check(mapping: Mapping, where: str) -> None:
    """Raises InvalidInput with the mapping's place, the field, and what is allowed."""
    _check_codec(mapping, where)
    if mapping.records == "segment":
        if mapping.format != "jsonl":
            raise _wrong(where, "format", "records: segment needs jsonl")
        if mapping.columns or mapping.facts or mapping.exclude or mapping.group_by:
            raise _wrong(where, "records", "segment takes no columns, facts, exclude or group_by")
        return
    _check_facts(mapping, where)
    _check_columns(mapping, where)
    _check_money(mapping, where)
    _check_conditions(mapping, where)
    _check_grouping(mapping, where)


def _wrong(where: str, field: str, message: str) -> InvalidInput:
    return InvalidInput(f"mapping {where}: {field}: {message}")


def _check_codec(mapping: Mapping, where: str) -> None:
    try:
        codecs.lookup(mapping.encoding)
        b"".decode(mapping.encoding)
    except (LookupError, UnicodeError):
        raise _wrong(where, "encoding", f"{mapping.encoding!r} is no encoding") from None
    if "\n".encode(mapping.encoding) != b"\n":
        raise _wrong(where, "encoding", "only encodings that write a line feed as one byte")
    try:
        ZoneInfo(mapping.time_zone)
    except (OSError, ValueError, KeyError):
        message = f"{mapping.time_zone!r} is no IANA time zone such as Europe/London"
        raise _wrong(where, "time_zone", message) from None
    if mapping.currency is not None and mapping.currency not in EXPONENTS:
        raise _wrong(where, "currency", f"{mapping.currency} is no code of ISO 4217")


def _check_facts(mapping: Mapping, where: str) -> None:
    if not mapping.facts:
        raise _wrong(where, "facts", "names no fact")
    for index, rule in enumerate(mapping.facts):
        if rule.type not in MAPPABLE:
            allowed = ", ".join(sorted(MAPPABLE))
            raise _wrong(where, f"facts.{index}.type", f"{rule.type!r}; allowed: {allowed}")
        missing = sorted(required_fields(rule.type) - mapping.columns.keys())
        if missing:
            message = f"{rule.type} needs a column for {', '.join(missing)}"
            raise _wrong(where, f"facts.{index}", message)


def _check_columns(mapping: Mapping, where: str) -> None:
    if "occurred_at" not in mapping.columns:
        raise _wrong(where, "columns", "occurred_at is missing")
    if not ({"customer", "anonymous"} & mapping.columns.keys() or mapping.without_customer):
        raise _wrong(where, "columns", "nobody is named: customer, anonymous or without_customer")
    known = CATALOGUE_FIELDS.union(*(fact_fields(rule.type) for rule in mapping.facts))
    for name, column in mapping.columns.items():
        field = f"columns.{name}"
        if name not in known | used_in_tests(mapping):
            message = f"no fact of this mapping has it; allowed: {', '.join(sorted(known))}"
            raise _wrong(where, field, message)
        if (column.column is None) == (column.constant is None):
            raise _wrong(where, field, "needs either a column or a constant")
        wanted = _TYPES.get(name)
        if wanted is not None and column.type != wanted:
            raise _wrong(where, field, f"its type is {wanted}, not {column.type}")


def _check_money(mapping: Mapping, where: str) -> None:
    """Decimals become minor units of one currency; amounts in several are minor units already."""
    for name, column in mapping.columns.items():
        if column.type == "money" and column.unit == "major":
            if mapping.currency is None:
                raise _wrong(where, f"columns.{name}", "money needs the mapping's currency")
            if "currency" in mapping.columns:
                message = "beside a column for currency, money is in minor units (unit: minor)"
                raise _wrong(where, f"columns.{name}", message)
    if mapping.currency is None and "currency" not in mapping.columns:
        kinds = [rule.type for rule in mapping.facts if "total" in mandatory(rule.type)]
        if kinds:
            raise _wrong(where, "currency", f"missing, and {', '.join(kinds)} is an amount")


def used_in_tests(mapping: Mapping) -> frozenset[str]:
    """Fields that filters and rules look at: they may be columns that no fact carries."""
    tests = [rule.when for rule in mapping.exclude] + [rule.when for rule in mapping.facts]
    return frozenset(name for when in tests for name in when)


def _check_conditions(mapping: Mapping, where: str) -> None:
    sections = {
        "exclude": [rule.when for rule in mapping.exclude],
        "facts": [rule.when for rule in mapping.facts],
    }
    for section, tests in sections.items():
        for index, when in enumerate(tests):
            for name, test in when.items():
                field = f"{section}.{index}.when.{name}"
                if name not in mapping.columns:
                    message = f"no such column; allowed: {', '.join(sorted(mapping.columns))}"
                    raise _wrong(where, field, message)
                _check_test(test, mapping.columns[name].type, where, field)
    for index, fact in enumerate(mapping.facts):
        for name in fact.negate:
            if name not in mapping.columns or mapping.columns[name].type in {"text", "time"}:
                raise _wrong(where, f"facts.{index}.negate", f"{name} is no column of numbers")


def _check_test(test: Test, kind: str, where: str, field: str) -> None:
    for pattern in (test.matches, test.not_matches):
        if pattern is not None:
            try:
                re.compile(pattern)
            except re.error as error:
                raise _wrong(where, field, f"not a regular expression: {error}") from None
    if kind == "text" and (test.at_most is not None or test.at_least is not None):
        raise _wrong(where, field, "at_most and at_least need a column of numbers")


def _check_grouping(mapping: Mapping, where: str) -> None:
    if mapping.group_by is not None:
        if mapping.group_by not in mapping.columns:
            raise _wrong(where, "group_by", f"{mapping.group_by} is not among the columns")
        flat = [rule.type for rule in mapping.facts if not has_lines(rule.type)]
        if flat:
            raise _wrong(where, "group_by", f"{', '.join(flat)} has no lines")
    if mapping.without_customer is not None:
        for _, name, _, _ in Formatter().parse(mapping.without_customer):
            if name is not None and name not in mapping.columns:
                raise _wrong(where, "without_customer", f"{{{name}}} is not among the columns")
    if mapping.catalogue and "item" not in mapping.columns:
        raise _wrong(where, "catalogue", "needs a column for item")
