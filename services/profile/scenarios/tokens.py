"""The text of an expression → its words, with positions. Pure; `syntax` makes a tree of them."""

import re
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(
    r"""(?P<space>\s+|//[^\n]*)
    |(?P<number>(?:\d+\.\d+|\.\d+|\d+)(?:[eE][+-]?\d+)?)
    |(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign>&&|\|\||==|!=|<=|>=|[-+*/<>!?:(),.\[\]])""",
    re.VERBOSE | re.ASCII,
)
WORDS: Final = {"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!"}
_SIGNS: Final = {
    "=": "==",
    "&": "&&",
    "|": "||",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    # The quotes that word processors make of plain ones.
    **dict.fromkeys("“”„«»", '"'),
    **dict.fromkeys("\u2018\u2019\u201a", "'"),
}
ENDS: Final = {"number": "the number", "text": "the text", "name": "the name", "sign": "the sign"}
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = {"\\": "\\", '"': '"', "'": "'", "n": "\n", "r": "\r", "t": "\t"}


class SyntaxProblem(Exception):
    """The text is no expression. at: index of the character where it goes wrong."""

    def __init__(self, at: int, what: str, fix: str) -> None:
        super().__init__(what)
        self.at, self.what, self.fix = at, what, fix


class Token(NamedTuple):
    """kind: number, text, name, sign or end."""

    kind: str
    text: str
    at: int


def tokens(text: str) -> list[Token]:
    """The words of an expression, ending with an empty one. Raises SyntaxProblem."""
    found, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _unreadable(text, at)
        kind = match.lastgroup or ""
        if kind != "space":
            found.append(Token(kind, match[0], at))
        at = match.end()
    return [*found, Token("end", "", len(text))]


def _unreadable(text: str, at: int) -> SyntaxProblem:
    sign = text[at]
    if sign in _SIGNS:
        return SyntaxProblem(at, f"`{sign}` means nothing", f"write `{_SIGNS[sign]}`")
    if sign in "\"'":
        return SyntaxProblem(at, "a text that does not end", f"close it with {sign}")
    if sign == "%":
        fix = "list the numbers, as in x in [10, 20, 30]"
        return SyntaxProblem(at, "there is no remainder of a division", fix)
    return SyntaxProblem(at, f"`{sign}` means nothing here", "leave it out")


def text_of(token: Token) -> str:
    """What a text stands for. Raises SyntaxProblem where a backslash means nothing."""

    def plain(match: re.Match[str]) -> str:
        if match[1] not in _ESCAPES:
            raise SyntaxProblem(
                token.at, f"`\\{match[1]}` means nothing", "write `\\\\` for a `\\`"
            )
        return _ESCAPES[match[1]]

    return _ESCAPE.sub(plain, token.text[1:-1])
