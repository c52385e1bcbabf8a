"""Finds the elements of JSON that does not parse as a whole, so that one bad event spoils no other.

Pure. Only brackets and strings are looked at: an element may hold NaN, bad UTF-8 or a thousand
levels and is still told apart from its neighbours. Linear in the body; used only after strict
parsing has failed.
"""

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)|[{}\[\],]', re.DOTALL)
_NAME: Final = re.compile(rb'\s*("[^"\\]*(?:\\.[^"\\]*)*")\s*:', re.DOTALL)
_OPENING: Final = frozenset(b"{[")
_CLOSING: Final = frozenset(b"}]")


class Unbalanced(Exception):
    """The brackets do not match: there is no telling what the sender meant."""


def elements(body: bytes) -> list[bytes]:
    """The elements of an array, or the members of an object as `"name": value`.

    Raises Unbalanced where the body is no container that opens and closes once.
    """
    return list(_elements(body.strip()))


def member(body: bytes, name: str) -> bytes | None:
    """The value of an object's member, or None where it has none. Raises Unbalanced."""
    quoted = b'"' + name.encode() + b'"'
    for element in elements(body):
        found = _NAME.match(element)
        if found and found[1] == quoted:
            return element[found.end() :].strip()
    return None


def _elements(body: bytes) -> Iterator[bytes]:
    if not body or body[0] not in _OPENING:
        raise Unbalanced
    open_brackets = bytearray()
    start = 1
    for token in _TOKEN.finditer(body):
        first = body[token.start()]
        if first in _OPENING:
            open_brackets.append(first)
        elif first in _CLOSING:
            # '}' and ']' lie two above '{' and '[' in ASCII
            if not open_brackets or open_brackets.pop() != first - 2:
                raise Unbalanced
            if not open_brackets:
                if token.end() != len(body):
                    raise Unbalanced
                last = body[start : token.start()].strip()
                if last:
                    yield last
                return
        elif first == ord(",") and len(open_brackets) == 1:
            yield body[start : token.start()].strip()
            start = token.end()
    raise Unbalanced
