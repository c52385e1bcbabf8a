"""What is wrong with a scenarios file: told all at once, each with its line and a fix. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from shared.errors import InvalidInput


class Problem(NamedTuple):
    """line: from 1; where: the field's path, such as `scenarios.cart_abandoned.after`."""

    line: int
    where: str
    what: str
    fix: str

    def told(self, file: str) -> str:
        """As one line, such as editors jump by."""
        where = f"{self.where}: " if self.where else ""
        return f"{file}:{self.line}: {where}{self.what}; {self.fix}"


class BookRefused(InvalidInput):
    """A file that is no book. problems: all of them, by line; the message tells the first."""

    code = "scenarios_refused"

    def __init__(self, file: str, problems: Sequence[Problem]) -> None:
        self.file = file
        self.problems = tuple(sorted(problems))
        first, more = self.problems[0].told(file), len(self.problems) - 1
        super().__init__(first + (f" (and {more} more)" if more else ""))

    @property
    def lines(self) -> list[str]:
        """Each problem as one line."""
        return [problem.told(self.file) for problem in self.problems]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the file something is read, and where what is wrong with it goes."""

    problems: list[Problem]
    where: str = ""

    def into(self, name: str) -> "Place":
        """The place of a field, or of an entry of a list."""
        return Place(self.problems, f"{self.where}.{name}" if self.where else name)

    def refuse(self, line: int, what: str, fix: str) -> None:
        """Notes what is wrong here."""
        self.problems.append(Problem(line, self.where, what, fix))
