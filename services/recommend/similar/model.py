"""Item-to-item lists as recommend holds them: for each item its best partners.

A part of the model (`similar`), made by training.py and only by it: the live tail changes nothing
here; items that come later are given a list by the likeness of their vectors (`cover`).
"""

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Codes, Numbers, Scores, best_first, grown, taller
from services.recommend.numbers import NO_ITEM
from services.recommend.vectors.model import Vectors
from shared.models.part import Part

NAME: Final = "similar"
MOST_PARTNERS: Final = 50
NO_LIST: Final = -1
SIMILAR: Final = "Tuple((int64[::1], int64[:, ::1], float64[:, ::1], int64[::1]))"
SimilarArrays: TypeAlias = tuple[Numbers, Numbers, Scores, Numbers]
"""By item number: place, NO_LIST where there is none. By place: partners' numbers and scores in
(0, 1], best first, and how many they are."""


@dataclass(slots=True)
class Similar:
    """place_of: int64 by item number; numbers int64[l, MOST_PARTNERS], scores float64, lengths
    int64[l] by place; the first `size` places are given out, beyond them is room for more.
    `facts`: how it was made, and how good it was on the held-out part."""

    place_of: Numbers = field(default_factory=lambda: np.full(1, NO_LIST, dtype=np.int64))
    numbers: Numbers = field(default_factory=lambda: np.zeros((0, MOST_PARTNERS), dtype=np.int64))
    scores: Scores = field(default_factory=lambda: np.zeros((0, MOST_PARTNERS)))
    lengths: Numbers = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many lists there are."""
        return int(self.place_of.max(initial=NO_LIST)) + 1

    def arrays(self) -> SimilarArrays:
        """What compiled code takes; valid until the next `cover`."""
        return self.place_of, self.numbers, self.scores, self.lengths

    def partners(self, item: int) -> tuple[Numbers, Scores]:
        """The item's partners, best first."""
        place = int(self.place_of[item]) if item < len(self.place_of) else NO_LIST
        if place == NO_LIST:
            return self.numbers[:0].ravel(), self.scores[:0].ravel()
        length = self.lengths[place]
        return self.numbers[place, :length], self.scores[place, :length]

    def cover(self, numbers: Numbers, vectors: Vectors) -> None:
        """Give those of the items that have no list, but a vector, the items that `nearest_items`
        looks at by descending cosine."""
        known = numbers[numbers < len(vectors.known)]
        self.place_of = grown(self.place_of, int(known.max(initial=0)) + 1, NO_LIST)
        missing = known[(self.place_of[known] == NO_LIST) & vectors.known[known]]
        leading = vectors.arrays()[6]
        rows = [np.empty(0, dtype=np.int64)] * len(missing)
        cosines = [np.empty(0)] * len(missing)
        for at, likeness in enumerate(vectors.units[missing] @ vectors.units[leading].T):
            like = (likeness > 0) & (leading != missing[at])
            found = likeness[like].astype(np.float64)
            rows[at], cosines[at] = best_first(leading[like], found, MOST_PARTNERS)
        self._append(missing, rows, cosines)

    def make_room(self, lists: int) -> None:
        """For so many lists in all: before there are requests that would wait for it."""
        self.numbers, self.scores = taller(self.numbers, lists), taller(self.scores, lists)
        self.lengths = taller(self.lengths, lists)

    def _append(self, items: Numbers, rows: list[Numbers], scores: list[Scores]) -> None:
        if not len(items):
            return
        first = self.size
        self.make_room(first + len(items))
        for at, (row, score) in enumerate(zip(rows, scores, strict=True), start=first):
            self.numbers[at, : len(row)] = row
            self.scores[at, : len(row)] = np.minimum(score, 1.0)
            self.lengths[at] = len(row)
        self.place_of[items] = np.arange(first, first + len(items))

    def part(self) -> Part:
        """As it lies in the model store; numbers of items as they are here."""
        size = self.size
        arrays: dict[str, NDArray[np.generic]] = {
            "place_of": self.place_of,
            "numbers": self.numbers[:size].astype(np.int32),
            "scores": self.scores[:size].astype(np.float32),
            "lengths": self.lengths[:size],
        }
        return Part(NAME, arrays, self.facts)

    @classmethod
    def of(cls, part: Part, local: NDArray[np.integer]) -> "Similar":
        """The part with this process's item numbers; local: by the part's numbers. An item that
        has none here drops out of no list, it stays there as no item."""
        held: dict[str, Any] = dict(part.arrays)
        place_of = np.full(int(local.max(initial=0)) + 1, NO_LIST, dtype=np.int64)
        place_of[local[: len(held["place_of"])]] = held["place_of"]
        place_of[NO_ITEM] = NO_LIST
        partners: Codes = held["numbers"]
        return cls(
            place_of,
            local[partners].astype(np.int64),
            held["scores"].astype(np.float64),
            held["lengths"].astype(np.int64),
            dict(part.facts),
        )
