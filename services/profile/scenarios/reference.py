"""docs/scenarios-reference.md: fields, beginnings and variables, from the tables that are read."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from services.profile.scenarios import contact_variables, moment_variables, profile_variables
from services.profile.scenarios.beginnings import FACTS, TIMERS
from services.profile.scenarios.declared import FILE
from services.profile.scenarios.shapes import Field, ListOf, MapOf, Object
from services.profile.scenarios.typed import KINDS
from services.profile.scenarios.variable import Variable
from services.profile.scenarios.variables import DYNAMIC

_INTRODUCTION: Final = """\
# scenarios.yaml: reference

Made by `make docs`. How to write them: [guide](guides/scenarios.md).
"""
_FILE: Final = "The file"
_MISSING: Final = """
Money is minor units (cents) of the currency the customer pays most in; days and hours are
fractions. A number marked `?` may not be known, and every comparison with it is false, `!=` as
well; `!(x < 30)` is true where x is not known. Texts are empty and lists have no entries where
nothing is known.
"""


def page() -> str:
    """The page, as Markdown."""
    groups: tuple[tuple[str, Iterable[Variable]], ...] = (
        ("The customer: everywhere", profile_variables.VARIABLES),
        ("Messages, feedback, predictions: everywhere", contact_variables.VARIABLES),
        ("The event: in `when` of a scenario on a fact", moment_variables.EVENT),
        ("The item: where the moment is about one", moment_variables.ITEM),
        ("Its change: with `on: item_changed`", moment_variables.CHANGE),
        ("The order: with facts about an order", contact_variables.ORDER),
        *(
            (f"The timer {timer}", variables)
            for timer, variables in contact_variables.TIMER.items()
        ),
    )
    lines = [_INTRODUCTION, "## Fields", *_fields(FILE, _FILE), *_beginnings()]
    lines += ["", "## Variables", _MISSING]
    for title, variables in groups:
        lines += ["", f"### {title}", "", "| variable | is | meaning |", "|---|---|---|"]
        lines += [_row(variable) for variable in variables]
    lines += ["", "### Of any kind", "", "What they are compared with says what they are.", ""]
    lines += [f"- `{prefix}<name>`: {meaning}" for prefix, meaning in DYNAMIC.items()]
    return "\n".join(lines) + "\n"


def _fields(shape: Object[Any], title: str) -> Iterator[str]:
    yield from ("", f"### {title}", "", "| field | meaning |", "|---|---|")
    inner: list[tuple[str, Object[Any]]] = []
    for name, field in shape.fields.items():
        yield f"| `{name}`{' (needed)' if field.required else ''} | {field.meaning} |"
        below = _object_in(field)
        if below is not None:
            path = name if title == _FILE else f"{title.strip('`')}.{name}"
            inner.append((f"`{path}`", below))
    for place, below in inner:
        yield from _fields(below, place)


def _object_in(field: Field) -> Object[Any] | None:
    shape = field.shape
    if isinstance(shape, ListOf | MapOf):
        shape = shape.entry
    return shape if isinstance(shape, Object) else None


def _beginnings() -> Iterator[str]:
    yield from ("", "## What begins a scenario (`on`)", "")
    yield f"- a fact: {', '.join(f'`{fact}`' for fact in FACTS)}"
    yield "- `item_changed`, or `{item_changed: [viewed, carted, wished]}` for some interests only"
    for timer, names in TIMERS.items():
        yield f"- `{{timer: {timer}}}` with {', '.join(f'`{name}`' for name in names)}"


def _row(variable: Variable) -> str:
    kind = KINDS[variable.kind].removeprefix("a ")
    mark = " ?" if variable.unknown else ""
    facts = ", ".join(sorted(variable.facts))
    of = f" (of {facts})" if 0 < len(variable.facts) <= 4 else ""
    return f"| `{variable.name}` | {kind}{mark} | {variable.meaning}{of} |"
