"""Lists, mappings and expressions of the file, made of `scalar_shapes`. Pure.

`declared` puts them together to what the file is; the JSON schema comes from the same shapes.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import Struct

from services.profile.scenarios.nodes import (
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
    kind_of,
    line_of,
)
from services.profile.scenarios.problems import Place
from services.profile.scenarios.scalar_shapes import NAME, Json, Shape, scalar
from shared.advice import did_you_mean

T = TypeVar("T")


class Written(Struct, frozen=True):
    """An expression as it stands in the file. block: each of its lines is a line of the file."""

    text: str
    line: int
    where: str
    block: bool

    def line_at(self, at: int) -> int:
        """The line of a character of it, as far as YAML tells."""
        return self.line + (self.text.count("\n", 0, at) if self.block else 0)


class Formula(NamedTuple):
    """An expression in CEL; what it says is checked once all of the file is known."""

    example: str

    def read(self, node: Node, place: Place) -> Written | None:
        text = scalar(node, place, f"an expression such as {self.example}")
        if text is None:
            return None
        style = getattr(node, "style", None)
        begins = line_of(node) + (style in {"|", ">"})
        return Written(text, begins, place.where, style == "|")

    def schema(self) -> Json:
        return {"type": ["string", "number", "boolean"], "examples": [self.example]}


class ListOf(Generic[T]):
    """A list; distinct: nothing twice."""

    def __init__(self, entry: Shape[T], least: int, most: int, *, distinct: bool = False) -> None:
        self.entry = entry
        self.least, self.most = least, most
        self.distinct = distinct

    def read(self, node: Node, place: Place) -> list[T] | None:
        if not isinstance(node, SequenceNode):
            place.refuse(line_of(node), "is not a list", _as_list(node))
            return None
        if not self.least <= len(node.value) <= self.most:
            what = f"has {len(node.value)} entries, allowed are {self.least} to {self.most}"
            place.refuse(line_of(node), what, "add some" if not node.value else "leave some out")
            return None
        found: list[T] = []
        for index, entry in enumerate(node.value):
            value = self.entry.read(entry, place.into(_label(entry, index)))
            if value is not None and self.distinct and value in found:
                place.refuse(line_of(entry), f"{value} is there twice", "leave one out")
            elif value is not None:
                found.append(value)
        return found

    def schema(self) -> Json:
        bounds = {"minItems": self.least, "maxItems": self.most}
        unique = {"uniqueItems": True} if self.distinct else {}
        return {"type": "array", "items": self.entry.schema(), **bounds, **unique}


def _as_list(node: Node) -> str:
    if isinstance(node, ScalarNode) and node.value and kind_of(node) != "null":
        return f"write it as [{node.value}]"
    return "write it as [a, b], or each behind a dash"


def _label(node: Node, index: int) -> str:
    """How an entry is called in messages: by its name, where it has one."""
    pairs = node.value if isinstance(node, MappingNode) else ()
    for key, value in pairs:
        if key.value == "name" and isinstance(value, ScalarNode):
            return str(value.value)
    return str(index + 1)


class MapOf(Generic[T]):
    """Entries by names of the user's own."""

    def __init__(self, entry: Shape[T], most: int) -> None:
        self.entry = entry
        self.most = most

    def read(self, node: Node, place: Place) -> dict[str, T] | None:
        pairs = mapping(node, place)
        if pairs is None:
            return None
        if not 1 <= len(pairs) <= self.most:
            place.refuse(line_of(node), f"has {len(pairs)} entries", f"give 1 to {self.most}")
        found = {}
        for name, value in pairs.items():
            if re.fullmatch(NAME, name) is None:
                place.refuse(line_of(value), f"`{name}` is no name", "write it as in post_purchase")
            elif (entry := self.entry.read(value, place.into(name))) is not None:
                found[name] = entry
        return found

    def schema(self) -> Json:
        names = {"pattern": f"^{NAME}$"}
        return {
            "type": "object",
            "propertyNames": names,
            "additionalProperties": self.entry.schema(),
            "minProperties": 1,
            "maxProperties": self.most,
        }


def mapping(node: Node, place: Place) -> Mapping[str, Node] | None:
    """The fields of a mapping, by name; twice the same is noted."""
    if not isinstance(node, MappingNode):
        place.refuse(line_of(node), "is not a mapping", "write its fields as `name: value`")
        return None
    found: dict[str, Node] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):
            place.refuse(line_of(key), "the name of a field is a text", "write `name: value`")
            continue
        name = key.value
        if name in found:
            place.into(name).refuse(line_of(key), "is there twice", "leave one out")
        found[str(name)] = value
    return found


class Field(NamedTuple):
    """A field of an Object. attribute: of the struct, where that is not the field's name."""

    shape: Shape[Any]
    meaning: str
    required: bool = False
    attribute: str = ""


class Object(Generic[T]):
    """A mapping of known fields, as a struct that has `lines`: where each of them stands, and a
    default for each field, also for required ones: those that are missing are noted."""

    def __init__(self, into: Callable[..., T], fields: Mapping[str, Field]) -> None:
        self.into = into
        self.fields = fields

    def read(self, node: Node, place: Place) -> T | None:
        pairs = mapping(node, place)
        if pairs is None:
            return None
        values: dict[str, Any] = {}
        for name, value in pairs.items():
            field = self.fields.get(name)
            if field is None:
                fix = did_you_mean(name, self.fields, f"there are {', '.join(self.fields)}")
                place.refuse(value.start_mark.line + 1, f"there is no field {name}", fix)
            elif (found := field.shape.read(value, place.into(name))) is not None:
                values[field.attribute or name] = found
        for name, field in self.fields.items():
            if field.required and name not in pairs:
                place.refuse(line_of(node), f"{name} is missing", f"add it: {field.meaning}")
        # Made even where something is missing, so that what is wrong besides is told as well.
        return self.into(lines={name: line_of(value) for name, value in pairs.items()}, **values)

    def schema(self) -> Json:
        return {
            "type": "object",
            "properties": {
                name: {"description": field.meaning, **field.shape.schema()}
                for name, field in self.fields.items()
            },
            "required": [name for name, field in self.fields.items() if field.required],
            "additionalProperties": False,
        }
