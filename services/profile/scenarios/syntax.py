"""The text of an expression → a tree with positions: the part of CEL that scenarios use. Pure.

`checking` types the tree and writes it as CEL again; what does not parse here is refused with what
to write instead. Bounded, so that no file can exhaust the stack: MOST_CHARS, MOST_DEPTH.
"""

import json
from typing import Final, TypeAlias

from msgspec import Struct

from services.profile.scenarios.tokens import ENDS, WORDS, SyntaxProblem, Token, text_of, tokens

MOST_CHARS: Final = 2_000
MOST_DEPTH: Final = 40

COMPARISONS: Final = ("==", "!=", "<=", ">=", "<", ">", "in")
SUMS: Final = ("+", "-")
PRODUCTS: Final = ("*", "/")


class Literal(Struct, frozen=True):
    """A number (always a double), a text or a truth value; code: as CEL reads it."""

    at: int
    value: float | str | bool
    code: str


class Name(Struct, frozen=True):
    """A variable by its dotted name, or what a macro such as `exists` binds."""

    at: int
    name: str


class Unary(Struct, frozen=True):
    """`!` or `-` of an operand."""

    at: int
    operator: str
    operand: "Node"


class Chain(Struct, frozen=True):
    """Operands joined by `&&` or by `||`, at least two."""

    at: int
    operator: str
    operands: "list[Node]"


class Binary(Struct, frozen=True):
    """A comparison or a calculation."""

    at: int
    operator: str
    left: "Node"
    right: "Node"


class Choice(Struct, frozen=True):
    """`test ? then : other`."""

    at: int
    test: "Node"
    then: "Node"
    other: "Node"


class Listing(Struct, frozen=True):
    """`[a, b]`."""

    at: int
    entries: "list[Node]"


class Call(Struct, frozen=True):
    """`name(arguments)`, or `target.name(arguments)`."""

    at: int
    name: str
    target: "Node | None"
    arguments: "list[Node]"


Node: TypeAlias = Literal | Name | Unary | Chain | Binary | Choice | Listing | Call


def parse(text: str) -> Node:
    """The tree of an expression. Raises SyntaxProblem."""
    if len(text) > MOST_CHARS:
        raise SyntaxProblem(0, f"longer than {MOST_CHARS:,} characters", "split the scenario")
    return _Parser(tokens(text)).whole()


class _Parser:
    """Recursive descent by CEL's precedence, loosest first."""

    def __init__(self, found: list[Token]) -> None:
        self.tokens = found
        self.place = 0
        self.depth = 0

    def whole(self) -> Node:
        node = self.choice()
        if self.now.kind != "end":
            word = self.now.text
            raise SyntaxProblem(
                self.now.at,
                f"{ENDS[self.now.kind]} `{word}` was not expected here",
                f"write `{WORDS[word]}`" if word in WORDS else "join with && or ||, or remove it",
            )
        return node

    @property
    def now(self) -> Token:
        return self.tokens[self.place]

    def take(self, *texts: str) -> Token | None:
        """The next sign (or the word `in`) if it is one of these."""
        token = self.now
        if token.kind in {"sign", "name"} and token.text in texts:
            self.place += 1
            return token
        return None

    def need(self, text: str) -> Token:
        token = self.take(text)
        if token is None:
            raise SyntaxProblem(self.now.at, f"`{text}` is missing", f"add `{text}`")
        return token

    def choice(self) -> Node:
        self.depth += 1
        if self.depth > MOST_DEPTH:
            raise SyntaxProblem(self.now.at, "nested too deeply", "write it with fewer brackets")
        node = self.chain("||")
        if token := self.take("?"):
            then = self.choice()
            self.need(":")
            node = Choice(token.at, node, then, self.choice())
        self.depth -= 1
        return node

    def chain(self, operator: str) -> Node:
        first = self.chain("&&") if operator == "||" else self.comparison()
        operands, at = [first], self.now.at
        while self.take(operator):
            operands.append(self.chain("&&") if operator == "||" else self.comparison())
        return first if len(operands) == 1 else Chain(at, operator, operands)

    def comparison(self) -> Node:
        left = self.sum()
        if token := self.take(*COMPARISONS):
            left = Binary(token.at, token.text, left, self.sum())
            if token := self.take(*COMPARISONS):
                raise SyntaxProblem(token.at, "two comparisons in a row", "join them with &&")
        return left

    def sum(self) -> Node:
        left, steps = self.product(), 0
        while token := self.take(*SUMS):
            left, steps = Binary(token.at, token.text, left, self.product()), steps + 1
            self.bound(steps, token)
        return left

    def product(self) -> Node:
        left, steps = self.unary(), 0
        while token := self.take(*PRODUCTS):
            left, steps = Binary(token.at, token.text, left, self.unary()), steps + 1
            self.bound(steps, token)
        return left

    def bound(self, steps: int, token: Token) -> None:
        if steps > MOST_DEPTH:
            raise SyntaxProblem(token.at, f"more than {MOST_DEPTH} in a row", "use fewer")

    def unary(self) -> Node:
        if token := self.take("!", "-"):
            self.depth += 1
            if self.depth > MOST_DEPTH:
                raise SyntaxProblem(token.at, "nested too deeply", f"use fewer `{token.text}`")
            operand = self.unary()
            self.depth -= 1
            return Unary(token.at, token.text, operand)
        return self.primary()

    def primary(self) -> Node:
        token = self.now
        self.place += 1
        if token.kind == "number":
            return _number(token)
        if token.kind == "text":
            return self.methods(_text(token))
        if token.kind == "name":
            return self.methods(self.name(token))
        if token.text == "(":
            node = self.choice()
            self.need(")")
            return self.methods(node)
        if token.text == "[":
            return self.methods(Listing(token.at, self.entries("]")))
        what = f"`{token.text}` where a value is expected" if token.text else "it ends too early"
        raise SyntaxProblem(token.at, what, "add a variable, a number or a text")

    def name(self, first: Token) -> Node:
        """A literal word, a call, or a dotted name as far as it is not a method."""
        if first.text in {"true", "false"}:
            return Literal(first.at, first.text == "true", first.text)
        if first.text in WORDS:
            raise SyntaxProblem(
                first.at, f"`{first.text}` means nothing", f"write `{WORDS[first.text]}`"
            )
        if self.take("("):
            return Call(first.at, first.text, None, self.entries(")"))
        dotted = first.text
        while self.now.text == "." and self.tokens[self.place + 1].kind == "name":
            if self.tokens[self.place + 2].text == "(":
                break
            dotted += "." + self.tokens[self.place + 1].text
            self.place += 2
        if self.now.text == "[" and self.tokens[self.place + 1].kind == "text":
            self.place += 1
            dotted += "." + text_of(self.now)
            self.place += 1
            self.need("]")
        return Name(first.at, dotted)

    def methods(self, node: Node) -> Node:
        steps = 0
        while dot := self.take("."):
            name, steps = self.now, steps + 1
            self.bound(steps, dot)
            self.place += name.kind == "name"
            if name.kind != "name" or not self.take("("):
                raise SyntaxProblem(dot.at, "no function after the dot", "name one, as in .size()")
            node = Call(name.at, name.text, node, self.entries(")"))
        return node

    def entries(self, end: str) -> list[Node]:
        if self.take(end):
            return []
        found = [self.choice()]
        while self.take(","):
            found.append(self.choice())
        self.need(end)
        return found


def _number(token: Token) -> Literal:
    value = float(token.text)
    if value > 1e300:
        raise SyntaxProblem(token.at, "the number is too large", "use a smaller one")
    return Literal(token.at, value, repr(value))


def _text(token: Token) -> Literal:
    value = text_of(token)
    return Literal(token.at, value, json.dumps(value, ensure_ascii=False))
