"""What is wrong with a scenarios file: told all at once, each with its line and a fix. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from shared.errors import InvalidInput

MOST_TOLD: Final = 100
"""Problems of one file that are told; a file with more is no scenarios file gone wrong."""
MOST_CHARS: Final = 200


class Problem(NamedTuple):
    """line: from 1; where: the field's path, such as `scenarios.cart_abandoned.after`."""

    line: int
    where: str
    what: str
    fix: str

    def told(self, file: str) -> str:
        """As one line, such as editors jump by."""
        where = f"{_short(self.where)}: " if self.where else ""
        return f"{file}:{self.line}: {where}{_short(self.what)}; {_short(self.fix)}"


def _short(text: str) -> str:
    """Without what a terminal would obey or break into lines, and no longer than one is read."""
    shown = "".join(each if each.isprintable() else "?" for each in text[: MOST_CHARS + 1])
    return shown if len(shown) <= MOST_CHARS else f"{shown[: MOST_CHARS - 4]} ..."


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
        """Each problem as one line; of more than MOST_TOLD the rest as a count."""
        told = [problem.told(self.file) for problem in self.problems[:MOST_TOLD]]
        if more := self.problems[MOST_TOLD:]:
            told.append(f"{self.file}:{more[0].line}: and {len(more):,} more; mend these first")
        return told


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the file something is read, and where what is wrong with it goes."""

    problems: list[Problem]
    where: str = ""

    def into(self, name: str) -> "Place":
        """The place of a field, or of an entry of a list."""
        return Place(self.problems, f"{self.where}.{name}" if self.where else name)

    @property
    def enough(self) -> bool:
        """Whether more need not be looked for: finding fixes costs time."""
        return len(self.problems) > MOST_TOLD

    def refuse(self, line: int, what: str, fix: str) -> None:
        """Notes what is wrong here."""
        self.problems.append(Problem(line, self.where, what, fix))
