"""A draft's fields as a typed fact: unknown names go to `extra`, and each fault gets its reason.

Pure, the last step of `normalise`.
"""

import re
from typing import Any, Final, cast

import msgspec

from services.ingest.identity import check_id
from services.ingest.money import read_currency
from services.ingest.reasons import Reason, refuse
from shared.errors import EventRefused
from shared.events import FACT_TYPES, AnyFact, Line

MAX_EXTRA: Final = 64
"""Unknown fields that a fact keeps; the raw topic has the others."""

_COMMON: Final = {"extra", "cause", "claimed_customer"}
_FIELDS: Final = {
    name: frozenset(kind.__struct_fields__) - _COMMON for name, kind in FACT_TYPES.items()
}
_LINE_FIELDS: Final = frozenset(Line.__struct_fields__)
_AT: Final = re.compile(r" - at `\$\.?([^`]*)`$")
_MISSING: Final = re.compile(r"missing required field `([^`]*)`")


def split_extra(
    kind: str, fields: dict[str, Any], beside: dict[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The fields that a fact of this type has, and the others, of which MAX_EXTRA are kept."""
    known = _FIELDS[kind]
    mine, extra = fields, beside
    if not fields.keys() <= known:
        mine = {name: value for name, value in fields.items() if name in known}
        others = {name: value for name, value in fields.items() if name not in known}
        stated = others.pop("extra", None)
        extra = {**others, **(stated if isinstance(stated, dict) else {}), **beside}
    unknown_of_lines = _extra_of_lines(mine.get("lines"))
    if unknown_of_lines:
        extra["lines"] = unknown_of_lines
    if len(extra) > MAX_EXTRA:
        extra = dict(list(extra.items())[-MAX_EXTRA:])
    return mine, {name: value for name, value in extra.items() if len(name) <= 128}


def _extra_of_lines(lines: Any) -> dict[str, Any]:
    """Line number → its unknown fields, for the lines that have any."""
    if not isinstance(lines, list):
        return {}
    return {
        str(number): {name: line[name] for name in line.keys() - _LINE_FIELDS}
        for number, line in enumerate(lines)
        if isinstance(line, dict) and not line.keys() <= _LINE_FIELDS
    }


def to_fact(kind: str, fields: dict[str, Any]) -> AnyFact:
    """The fact. Raises EventRefused, naming the field and the bound but no value."""
    if fields.get("currency") is not None:
        fields["currency"] = read_currency(fields["currency"], "currency")
    try:
        fact = cast(AnyFact, msgspec.convert(fields, FACT_TYPES[kind]))
    except msgspec.ValidationError as error:
        raise _why(str(error)) from None
    for name in ("item", "order"):
        value = getattr(fact, name, None)
        if value is not None:
            check_id(value, name)
    for line in getattr(fact, "lines", ()):
        check_id(line.item, "lines.item")
    return fact


def _why(message: str) -> EventRefused:
    """The refusal that msgspec's message amounts to."""
    found = _AT.search(message)
    path = found[1] if found else ""
    fault = message[: found.start()] if found else message
    name = path.rpartition(".")[2]
    missing = _MISSING.search(fault)
    if missing:
        where = f"{path}.{missing[1]}" if path else missing[1]
        return refuse(Reason.MISSING_FIELD, f"{where}: missing")
    if name in {"price", "total"} and fault.endswith(">= 0"):
        return refuse(Reason.NEGATIVE_PRICE, f"{path}: below 0")
    if fault.startswith("Invalid enum value"):
        fault = "none of the words it may be"
    return refuse(Reason.INVALID_FIELD, f"{path}: {fault}")
