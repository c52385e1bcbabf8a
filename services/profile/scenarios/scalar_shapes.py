"""What single values of the file may be: each shape reads a node, noting what is wrong with it, and
says what it takes as JSON schema. Pure. `shapes` makes lists and mappings of them.
"""

import math
import re
from functools import cache
from typing import Any, Final, NamedTuple, Protocol, TypeVar
from zoneinfo import available_timezones

from services.profile.scenarios.nodes import MappingNode, Node, ScalarNode, kind_of, line_of
from services.profile.scenarios.problems import Place
from shared.advice import did_you_mean

Json = dict[str, Any]
T_co = TypeVar("T_co", covariant=True)

NAME: Final = "[a-z][a-z0-9_]{0,63}"
_UNITS: Final = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION: Final = re.compile(r"(\d{1,9})\s*([smhdw])", re.ASCII)
_CLOCK: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)", re.ASCII)


class Shape(Protocol[T_co]):
    """Reads a node as one kind of value; None where it is wrong, which is noted."""

    def read(self, node: Node, place: Place) -> T_co | None: ...
    def schema(self) -> Json: ...


def scalar(node: Node, place: Place, wanted: str) -> str | None:
    """The text of a single value as it stands in the file."""
    if isinstance(node, ScalarNode) and kind_of(node) != "null":
        text: str = node.value
        return text
    if isinstance(node, ScalarNode):
        place.refuse(line_of(node), "is empty", f"give {wanted}, or remove the field")
    else:
        found = "a mapping" if isinstance(node, MappingNode) else "a list"
        place.refuse(line_of(node), f"is {found}, not {wanted}", f"write {wanted}")
    return None


class Text(NamedTuple):
    """A text that fits a pattern. example: what to write instead."""

    pattern: str = ".+"
    example: str = "a text"
    most: int = 256

    def read(self, node: Node, place: Place) -> str | None:
        text = scalar(node, place, self.example)
        if text is None:
            return None
        if len(text) > self.most:
            place.refuse(line_of(node), f"longer than {self.most} characters", "shorten it")
        elif re.fullmatch(self.pattern, text, re.DOTALL) is None:
            place.refuse(line_of(node), f"`{text}` is not {self.example}", f"write {self.example}")
        else:
            return text
        return None

    def schema(self) -> Json:
        return {"type": "string", "pattern": f"^{self.pattern}$", "maxLength": self.most}


class Number(NamedTuple):
    """A number from least to most, both allowed; whole: without a fraction; why: behind most."""

    least: float
    most: float
    whole: bool = False
    why: str = ""

    def read(self, node: Node, place: Place) -> float | None:
        wanted = "a whole number" if self.whole else "a number"
        text = scalar(node, place, wanted)
        if text is None:
            return None
        value = _number(text)
        if kind_of(node) not in ({"int"} if self.whole else {"int", "float"}) or math.isnan(value):
            fix = f"write {wanted}"
            if not math.isnan(value) and (value.is_integer() or not self.whole):
                fix = (
                    "write it without quotes"
                    if getattr(node, "style", "")
                    else f"write {value:.15g}"
                )
            place.refuse(line_of(node), f"`{text}` is not {wanted}", fix)
        elif value < self.least:
            place.refuse(line_of(node), f"{text} is too small", f"write {self.least:g} or more")
        elif not value <= self.most:
            what = f"{text} is too large{self.why}"
            place.refuse(line_of(node), what, f"write {self.most:.15g} or less")
        else:
            return value
        return None

    def schema(self) -> Json:
        kind = "integer" if self.whole else "number"
        return {"type": kind, "minimum": self.least, "maximum": self.most}


def _number(text: str) -> float:
    try:
        return float(text.replace("_", ""))
    except ValueError:  # hexadecimal, base 60 ... : nobody writes these here on purpose
        return math.nan


class Flag(NamedTuple):
    """true or false."""

    def read(self, node: Node, place: Place) -> bool | None:
        text = scalar(node, place, "true or false")
        if text is None:
            return None
        if kind_of(node) != "bool":
            place.refuse(
                line_of(node), f"`{text}` is neither true nor false", "write true or false"
            )
            return None
        return text.lower() in {"true", "yes", "on"}

    def schema(self) -> Json:
        return {"type": "boolean"}


class Duration(NamedTuple):
    """A time span such as 90m, in ms; least and most are ms too. too_short, too_long: said behind
    these bounds."""

    least: int
    most: int
    too_short: str = ""
    too_long: str = ""

    def read(self, node: Node, place: Place) -> int | None:
        text = scalar(node, place, "a time span such as 30m, 24h or 7d")
        if text is None:
            return None
        match = _DURATION.fullmatch(text.strip())
        if match is None:
            fix = "write a whole number with s, m, h, d or w, such as 30m, 24h or 7d"
            place.refuse(line_of(node), f"`{text}` is no time span", fix)
            return None
        span = int(match[1]) * _UNITS[match[2]]
        if not self.least <= span <= self.most:
            short = span < self.least
            bound = written(self.least if short else self.most)
            side, why = ("shorter", self.too_short) if short else ("longer", self.too_long)
            place.refuse(line_of(node), f"{text} is {side} than {bound}{why}", f"write {bound}")
            return None
        return span

    def schema(self) -> Json:
        return {"type": "string", "pattern": r"^\d{1,9}\s*[smhdw]$"}


def written(span: int) -> str:
    """A time span in ms as it is written in the file."""
    for unit in ("d", "h", "m"):
        if span % _UNITS[unit] == 0:
            return f"{span // _UNITS[unit]}{unit}"
    return f"{span // 1_000}s"


class Clock(NamedTuple):
    """A time of day, in minutes since midnight."""

    def read(self, node: Node, place: Place) -> int | None:
        text = scalar(node, place, 'a time of day such as "21:00"')
        if text is None:
            return None
        match = _CLOCK.fullmatch(text)
        if match is None:
            place.refuse(line_of(node), f"`{text}` is no time of day", 'write it as "21:00"')
            return None
        return int(match[1]) * 60 + int(match[2])

    def schema(self) -> Json:
        return {"type": "string", "pattern": f"^{_CLOCK.pattern}$"}


@cache
def zones() -> frozenset[str]:
    """The names of all time zones. Cached, because asking reads folders."""
    return frozenset(available_timezones())


class Zone(NamedTuple):
    """The IANA name of a time zone."""

    def read(self, node: Node, place: Place) -> str | None:
        text = scalar(node, place, "a time zone such as Europe/Berlin")
        known = zones()
        if text is None or text in known:
            return text
        fix = did_you_mean(text, known, "write a name of the IANA data base, as Europe/Berlin")
        place.refuse(line_of(node), f"there is no time zone {text}", fix)
        return None

    def schema(self) -> Json:
        return {"type": "string", "examples": ["Europe/Berlin"]}


class OneOf(NamedTuple):
    """One of some words. noun: what they are, as in `there is no channel mail`."""

    words: tuple[str, ...]
    noun: str

    def read(self, node: Node, place: Place) -> str | None:
        text = scalar(node, place, f"one of {', '.join(self.words)}")
        if text is None or text in self.words:
            return text
        fix = did_you_mean(text, self.words, f"there are {', '.join(self.words)}")
        place.refuse(line_of(node), f"there is no {self.noun} {text}", fix)
        return None

    def schema(self) -> Json:
        return {"enum": list(self.words)}
