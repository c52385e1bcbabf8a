"""Types an expression's tree and writes it as the CEL that runs. Pure.

What is promised: every part is typed, those included that `&&`, `||` and `?:` may skip, so a
program that passed cannot meet a value of a wrong type while variables keep their declared kinds.
Numbers are doubles. A comparison with a number that is not known (NaN) is false, also `!=`: CEL
would fail there, so the written program asks first.
"""

import math
from collections.abc import Mapping
from typing import Final

import cel

from services.profile.scenarios.syntax import (
    Binary,
    Call,
    Chain,
    Choice,
    Listing,
    Literal,
    Name,
    Node,
    Unary,
)
from services.profile.scenarios.typed import (
    AND,
    BROKEN,
    CHOICE,
    COMPARE,
    ENTRY_OF,
    FUNCTIONS,
    HINTS,
    KINDS,
    LIST_FUNCTIONS,
    LIST_OF,
    OR,
    PRIMARY,
    PRODUCT,
    SUM,
    UNARY,
    Find,
    Input,
    Typed,
    Wrong,
)
from services.profile.scenarios.variable import UNKNOWN, Variable
from shared.advice import did_you_mean

ORDERS: Final = frozenset(["<", "<=", ">", ">="])
MOST_CODE: Final = 20_000


class Checker:
    """Types one expression. domains: names that variables of a domain may be compared with."""

    def __init__(self, find: Find, domains: Mapping[str, frozenset[str]]) -> None:
        self.find = find
        self.domains = domains
        self.wrong: list[Wrong] = []
        self.inputs: dict[tuple[str, str, str], Input] = {}
        self.bound: dict[str, str] = {}

    def root(self, node: Node, wanted: str) -> Typed:
        """The whole expression, of the wanted kind."""
        typed = self.of(node, wanted)
        if len(typed.code) > MOST_CODE:
            self.refuse(node, "too long once written out", "split the scenario")
        return typed

    def of(self, node: Node, wanted: str) -> Typed:
        """A part that must be of a kind."""
        typed = self.typed(node, wanted)
        if typed.kind in {"", wanted}:
            return typed
        what = f"{KINDS[typed.kind]} where {KINDS[wanted]} is needed"
        return self.refuse(node, what, _conversion(node, typed.kind, wanted))

    def refuse(self, node: Node, what: str, fix: str) -> Typed:
        self.wrong.append(Wrong(node.at, what, fix))
        return BROKEN

    def typed(self, node: Node, wanted: str | None = None) -> Typed:
        """A part of whatever kind it is; wanted: what a variable of any kind is taken for."""
        match node:
            case Literal():
                return Typed(_kind_of(node.value), node.code)
            case Name():
                return self.name(node, wanted)
            case Unary():
                kind = "flag" if node.operator == "!" else "number"
                operand = self.of(node.operand, kind)
                code = f"{node.operator}{operand.within(PRIMARY)}"
                return Typed(kind, code, UNARY, operand.unknown)
            case Chain():
                strength = AND if node.operator == "&&" else OR
                parts = [self.of(part, "flag").within(strength + 1) for part in node.operands]
                return Typed("flag", f" {node.operator} ".join(parts), strength)
            case Choice():
                return self.choice(node, wanted)
            case Listing():
                return self.listing(node)
            case Call():
                return self.call(node)
            case Binary():
                if node.operator == "in":
                    return self.membership(node)
                if node.operator in "+-*/":
                    return self.calculation(node, wanted)
                return self.comparison(node)

    def name(self, node: Name, wanted: str | None) -> Typed:
        if node.name in self.bound:
            return Typed(self.bound[node.name], f"each_{node.name}")
        found = self.find(node.name)
        if not isinstance(found, Variable):
            return self.refuse(node, *found)
        kind: str = found.kind
        if kind == "any":
            if wanted not in {"number", "text", "flag"}:
                return Typed("any", "false")
            kind = wanted
        missing = found.missing if isinstance(found.missing, float) else UNKNOWN
        unknown = kind == "number" and math.isnan(missing)
        return Typed(kind, self.input(found, kind, missing), unknown=unknown)

    def input(self, variable: Variable, kind: str, unknown: float) -> str:
        """The name in the program of a variable, where an unknown number reads like that."""
        key = (variable.name, kind, str(unknown))
        entry = Input(f"v{len(self.inputs)}", variable, kind, unknown)
        return self.inputs.setdefault(key, entry).code

    def pair(self, left: Node, right: Node, wanted: str | None = None) -> tuple[Typed, Typed]:
        """Two parts of one kind: a variable of any kind is what the other one is."""
        one, other = self.typed(left, wanted), self.typed(right, wanted)
        if one.kind == "any":
            one = self.typed(left, "text" if other.kind == "any" else other.kind)
        if other.kind == "any":
            other = self.typed(right, one.kind or "text")
        if "any" in {one.kind, other.kind}:
            fix = "compare it with a text, a number, true or false"
            return self.refuse(right, "a trait is one value, not a list", fix), BROKEN
        if one.kind != other.kind and one.kind and other.kind:
            return self.of(right, one.kind), BROKEN
        return one, other

    def comparison(self, node: Binary) -> Typed:
        one, other = self.pair(node.left, node.right)
        if not one.kind or not other.kind:
            return BROKEN._replace(kind="flag")
        if node.operator in ORDERS and one.kind not in {"number", "text"}:
            what = f"`{node.operator}` does not compare {KINDS[one.kind]}"
            return self.refuse(node, what, "use it for numbers and texts")
        self.names(node.left, node.right)
        self.names(node.right, node.left)
        if node.operator in ORDERS:
            one = self.bounded(node.left, one, node.right, node.operator in {"<", "<="})
            other = self.bounded(node.right, other, node.left, node.operator in {">", ">="})
        # That an unknown number equals nothing CEL knows by itself.
        known = [
            f"{side.within(SUM)} == {side.within(SUM)} && "
            for side in (one, other)
            if side.unknown and node.operator != "=="
        ]
        code = "".join(known) + f"{one.within(SUM)} {node.operator} {other.within(SUM)}"
        return Typed("flag", code, AND if known else COMPARE)

    def bounded(self, node: Node, typed: Typed, beside: Node, less: bool) -> Typed:
        """A variable that is compared with a number: where it is not known it reads as endless, on
        the side where that is false, so that the program need not ask first."""
        found = self.find(node.name) if typed.unknown and isinstance(node, Name) else None
        plain = isinstance(beside.operand if isinstance(beside, Unary) else beside, Literal)
        if not isinstance(found, Variable) or not plain or typed.kind != "number":
            return typed
        return Typed("number", self.input(found, "number", math.inf if less else -math.inf))

    def calculation(self, node: Binary, wanted: str | None) -> Typed:
        one, other = self.pair(node.left, node.right, wanted or "number")
        if not one.kind or not other.kind:
            return BROKEN._replace(kind=one.kind or other.kind)
        if one.kind != "number" and not (one.kind == "text" and node.operator == "+"):
            what = f"`{node.operator}` does not calculate with {KINDS[one.kind]}"
            return self.refuse(node, what, "use it with numbers")
        strength = SUM if node.operator in "+-" else PRODUCT
        code = f"{one.within(strength)} {node.operator} {other.within(strength + 1)}"
        # Infinite parts make a number that is none, such as a share of nothing.
        return Typed(one.kind, code, strength, one.kind == "number")

    def membership(self, node: Binary) -> Typed:
        listed = self.typed(node.right)
        entry = ENTRY_OF.get(listed.kind)
        if entry is None:
            if not listed.kind:
                return BROKEN._replace(kind="flag")
            return self.refuse(node.right, "`in` needs a list", 'write one, as in ["a", "b"]')
        one = self.of(node.left, entry)
        for part in node.right.entries if isinstance(node.right, Listing) else ():
            self.names(node.left, part)
        self.names(node.right, node.left)
        return Typed("flag", f"{one.within(SUM)} in {listed.within(SUM)}", COMPARE)

    def names(self, variable: Node, value: Node) -> None:
        """A variable that takes the names of something, beside one that is written out."""
        if not (isinstance(variable, Name) and isinstance(value, Literal)):
            return
        found = self.find(variable.name)
        domain = found.domain if isinstance(found, Variable) else ""
        known = self.domains.get(domain)
        if known is not None and value.value not in known:
            fix = did_you_mean(str(value.value), known, f"declare it under `{domain}`")
            self.refuse(value, f"`{value.value}` is not among the {domain}", fix)

    def choice(self, node: Choice, wanted: str | None) -> Typed:
        test = self.of(node.test, "flag")
        one, other = self.pair(node.then, node.other, wanted)
        code = f"{test.within(OR)} ? {one.within(OR)} : {other.within(OR)}"
        return Typed(one.kind and other.kind, code, CHOICE, one.unknown or other.unknown)

    def listing(self, node: Listing) -> Typed:
        if not node.entries:
            return self.refuse(node, "an empty list", "write what it holds")
        first = self.typed(node.entries[0], "text")
        if first.kind and first.kind not in LIST_OF:
            return self.refuse(node, f"a list of {KINDS[first.kind]}", "list texts or numbers")
        parts = [self.of(entry, first.kind or "text").within(CHOICE) for entry in node.entries]
        return Typed(LIST_OF.get(first.kind, ""), f"[{', '.join(parts)}]")

    def call(self, node: Call) -> Typed:
        arguments = node.arguments
        if node.name == "size" and len(arguments) + (node.target is not None) == 1:
            of = self.typed(node.target or arguments[0], "text")
            if of.kind and of.kind not in {"text", "texts", "numbers"}:
                return self.refuse(node, f"size() of {KINDS[of.kind]}", "ask it of a list or text")
            return Typed("number", f"double(size({of.code}))")
        if node.target is None or node.name not in FUNCTIONS:
            what = f"there is no function {node.name}()"
            if node.name in FUNCTIONS:
                return self.refuse(node, what, f"write it behind a value: x.{node.name}(...)")
            near = did_you_mean(node.name, FUNCTIONS, f"there are {', '.join(FUNCTIONS)}")
            return self.refuse(node, what, HINTS.get(node.name, near))
        if len(arguments) != (2 if node.name in LIST_FUNCTIONS else 1):
            example = 'x.exists(e, e == "a")' if node.name in LIST_FUNCTIONS else 'x.contains("a")'
            return self.refuse(node, f"{node.name}() takes other arguments", f"as in {example}")
        if node.name in LIST_FUNCTIONS:
            return self.each(node, node.target)
        target, argument = self.of(node.target, "text"), self.of(arguments[0], "text")
        if node.name == "matches" and (refused := _pattern(arguments[0])):
            return self.refuse(arguments[0], *refused)
        return Typed("flag", f"{target.within(PRIMARY)}.{node.name}({argument.code})")

    def each(self, node: Call, target: Node) -> Typed:
        """A macro that binds a name to each entry of a list."""
        listed, name = self.typed(target), node.arguments[0]
        if listed.kind not in ENTRY_OF:
            if not listed.kind:
                return BROKEN
            return self.refuse(target, f"{node.name}() needs a list", "ask it of a list")
        if not isinstance(name, Name) or "." in name.name or name.name in self.bound:
            return self.refuse(name, "not a new plain name", 'as in x.exists(e, e == "a")')
        self.bound[name.name] = ENTRY_OF[listed.kind]
        test = self.of(node.arguments[1], "flag")
        del self.bound[name.name]
        kind = listed.kind if node.name == "filter" else "flag"
        return Typed(kind, f"{listed.within(PRIMARY)}.{node.name}(each_{name.name}, {test.code})")


def _kind_of(value: float | str | bool) -> str:
    if isinstance(value, bool):
        return "flag"
    return "text" if isinstance(value, str) else "number"


def _conversion(node: Node, kind: str, wanted: str) -> str:
    """How to make a part of one kind one of another."""
    if wanted == "number" and isinstance(node, Literal) and _is_number(str(node.value)):
        return f"write {node.value} without quotes"
    if wanted == "text" and isinstance(node, Literal):
        return (
            f'write "{node.value:g}" in quotes' if isinstance(node.value, float) else "use quotes"
        )
    if wanted == "flag":
        return {"number": "compare it, as in x > 0", "text": 'compare it, as in x == "a"'}.get(
            kind, 'ask of its entries, as in "a" in x'
        )
    return f"use {KINDS[wanted]}"


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()


def _pattern(node: Node) -> tuple[str, str] | None:
    """What is wrong with a pattern; it must be written out, so that it can be tried."""
    if not isinstance(node, Literal):
        return "the pattern is not written out", "give it as a text"
    try:
        cel.evaluate(f'"".matches({node.code})')
    except (RuntimeError, ValueError):
        return "not a regular expression", "see the syntax of RE2; a dot by itself is `[.]`"
    return None
