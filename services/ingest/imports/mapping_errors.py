"""What is wrong with a mapping's YAML, told with its field and with what is allowed there."""

import re
from typing import Any, Final, TypeVar

import msgspec
from msgspec import inspect

from shared.errors import InvalidInput

T = TypeVar("T")

_STEP: Final = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+)\]|\[\.\.\.\]")
_AT: Final = re.compile(r"^(.*?)(?: - at `(\$[^`]*)`)?$", re.DOTALL)


def converted(raw: Any, kind: type[T], where: str) -> T:
    """`raw` as a struct. Raises InvalidInput: mapping, field, what is wrong, what is allowed."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        found = _AT.match(str(error))
        wrong, path = (found[1], found[2] or "$") if found else (str(error), "$")
        field, allowed = _locate(raw, inspect.type_info(kind), path)
        message = f"mapping {where}: {field or 'the mapping'}: {wrong}"
        raise InvalidInput(f"{message}; allowed: {allowed}" if allowed else message) from None


def _locate(raw: Any, kind: inspect.Type, path: str) -> tuple[str, str]:
    """The field's full name, and what it may hold.

    msgspec writes `[...]` for a key of an object: the first value that does not convert is meant.
    """
    steps: list[str] = []
    for match in _STEP.finditer(path):
        name, index = match[1], match[2]
        if isinstance(kind, inspect.StructType) and name is not None:
            kind = _plain(next(f.type for f in kind.fields if f.encode_name == name))
            raw = raw.get(name) if isinstance(raw, dict) else None
        elif isinstance(kind, inspect.ListType) and index is not None:
            kind = _plain(kind.item_type)
            name, raw = index, raw[int(index)]
        elif isinstance(kind, inspect.DictType) and isinstance(raw, dict):
            kind = _plain(kind.value_type)
            name = next((key for key in raw if not _converts(raw[key], kind)), None)
            raw = raw.get(name)
        steps.append(str(name))
    return ".".join(steps), _allowed(kind)


def _plain(kind: inspect.Type) -> inspect.Type:
    """The type without `| None`, where only one is left."""
    while isinstance(kind, inspect.Metadata):
        kind = kind.type
    if isinstance(kind, inspect.UnionType):
        left = [entry for entry in kind.types if not isinstance(entry, inspect.NoneType)]
        return left[0] if len(left) == 1 else kind
    return kind


def _converts(value: Any, kind: inspect.Type) -> bool:
    if not isinstance(kind, inspect.StructType):
        return True
    try:
        msgspec.convert(value, kind.cls)
    except msgspec.ValidationError:
        return False
    return True


def _allowed(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.LiteralType):
        return ", ".join(str(value) for value in kind.values)
    if isinstance(kind, inspect.StructType):
        return ", ".join(field.encode_name for field in kind.fields)
    return ""
