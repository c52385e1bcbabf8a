"""The bytes of one raw event as a JSON object, within bounds; each way it can fail has its reason.

Pure. Names given twice in one object: the last wins.
"""

import json
import re
from typing import Any, Final

import msgspec

from services.ingest.reasons import Reason, refuse
from shared.errors import EventRefused

MAX_DEPTH: Final = 16
_BRACKET: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[\]{}]', re.DOTALL)
"""A string, whole or cut off, or a bracket. It never looks back, so any text takes linear time."""

_decode: Final = msgspec.json.Decoder().decode


def read_object(value: bytes | None, max_bytes: int) -> dict[str, Any]:
    """The event as a dict. Raises EventRefused."""
    if value is None:
        raise refuse(Reason.NULL_VALUE, "the record has no value")
    if len(value) > max_bytes:
        raise refuse(Reason.TOO_LARGE, f"{len(value)} bytes, at most {max_bytes} are taken")
    try:
        event = _decode(value)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise _why(value) from None
    if not isinstance(event, dict):
        raise refuse(Reason.NOT_AN_OBJECT, "not a JSON object")
    if value.count(b"{") + value.count(b"[") > MAX_DEPTH and _deeper_than(event, MAX_DEPTH):
        raise refuse(Reason.TOO_DEEP, f"nested deeper than {MAX_DEPTH} levels")
    return event


def _deeper_than(value: Any, levels: int) -> bool:
    if isinstance(value, dict):
        return levels == 0 or any(_deeper_than(inner, levels - 1) for inner in value.values())
    if isinstance(value, list):
        return levels == 0 or any(_deeper_than(inner, levels - 1) for inner in value)
    return False


def _why(value: bytes) -> EventRefused:
    """The reason for bytes that do not decode; only refused events pay for this second look."""
    try:
        text = value.decode()
    except UnicodeDecodeError as error:
        return refuse(Reason.BAD_UTF8, f"byte {error.start} is no UTF-8")
    if _depth_of(text) > MAX_DEPTH:
        # how deep a decoder goes before it gives up depends on Python's version
        return refuse(Reason.TOO_DEEP, f"nested deeper than {MAX_DEPTH} levels")
    try:
        json.loads(text, parse_constant=_not_finite, parse_float=_finite)
    except EventRefused as refused:
        return refused
    except json.JSONDecodeError as error:
        return refuse(Reason.MALFORMED_JSON, f"no JSON from character {error.pos}")
    except ValueError:
        return refuse(Reason.INVALID_FIELD, "a number with too many digits")
    return refuse(Reason.MALFORMED_JSON, "no JSON that a fact can carry")


def _depth_of(text: str) -> int:
    """Most brackets open at once, outside of strings; the text need not be whole."""
    depth = deepest = 0
    for match in _BRACKET.finditer(text):
        bracket = match[0]
        if bracket in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif bracket in "]}":
            depth -= 1
    return deepest


def _not_finite(_name: str) -> float:
    raise refuse(Reason.NAN, "NaN and Infinity are no numbers in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise refuse(Reason.NAN, "a number beyond what a float holds")
    return number
