"""What noting and deciding go by at one time: a book, and what is around. Pure."""

from typing import NamedTuple

from services.profile.moments.around import Around
from services.profile.scenarios.book import Book


class Rules(NamedTuple):
    """Both as they stand; whoever folds or decides takes one for a whole batch."""

    book: Book
    around: Around
