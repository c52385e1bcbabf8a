"""What to write instead: the advice that goes with the refusal of a name or a word. Pure."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from msgspec import inspect

LONGEST: Final = 128
"""A longer word is no slip of the pen, and comparing it would take long."""

_UNKNOWN: Final = re.compile(r"Object contains unknown field `([^`]*)`")
_AT: Final = re.compile(r" - at `\$([^`]*)`$")
_STEP: Final = re.compile(r"\.(\w+)|\[(?:\d+|\.\.\.)\]")


def did_you_mean(word: str, known: Iterable[str], otherwise: str = "") -> str:
    """The nearest known word as a fix."""
    if len(word) > LONGEST:
        return otherwise
    near = get_close_matches(word, sorted(known), n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else otherwise


def with_advice(message: str, kind: type) -> str:
    """msgspec's message about a value of this type, with the field that an unknown one is close
    to, or the words that may stand where another stood."""
    place = _AT.search(message)
    found = _within(inspect.type_info(kind), place[1] if place else "")
    unknown = _UNKNOWN.match(message)
    fix = ""
    if unknown and isinstance(found, inspect.StructType):
        fix = did_you_mean(unknown[1], [field.encode_name for field in found.fields])
    elif message.startswith("Invalid enum value") and isinstance(found, inspect.LiteralType):
        fix = f"there are {', '.join(map(str, found.values))}"
    return f"{message}; {fix}" if fix else message


def _within(kind: inspect.Type, path: str) -> inspect.Type | None:
    """The type at a path such as `.placements[0].filters[...]`; None where it leads nowhere."""
    found: inspect.Type | None = _plain(kind)
    for name in _STEP.findall(path):
        if name and isinstance(found, inspect.StructType):
            found = next((each.type for each in found.fields if each.encode_name == name), None)
        elif not name and isinstance(found, inspect.ListType):
            found = found.item_type
        elif not name and isinstance(found, inspect.DictType):
            found = found.value_type
        else:
            return None
        found = found and _plain(found)
    return found


def _plain(kind: inspect.Type) -> inspect.Type:
    """The type without `| None`; of several, the struct among them if there is one."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        left = [each for each in kind.types if not isinstance(each, inspect.NoneType)]
        structs = [each for each in left if isinstance(each, inspect.StructType)]
        for few in (left, structs):
            if len(few) == 1:
                return _plain(few[0])
    return kind
