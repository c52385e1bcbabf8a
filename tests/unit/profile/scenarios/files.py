"""Scenarios files as short as they can be, read and refused."""

import textwrap

import pytest

from services.profile.scenarios.book import Book
from services.profile.scenarios.problems import BookRefused, Problem
from services.profile.scenarios.reading import read

LEAST = """
scenarios:
  - name: one
    on: cart_added
    purpose: marketing
    channels: [email]
"""


def book(text: str) -> Book:
    return read(textwrap.dedent(text).encode())


def refused(text: str | bytes) -> list[Problem]:
    data = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(BookRefused) as caught:
        read(data)
    return list(caught.value.problems)


def with_line(line: str) -> str:
    """The least file with one more line in its scenario: line 7."""
    return f"{LEAST}    {line}\n"
