"""Vectors as recommend holds them: of items, of customers who were there at training, and what it
takes to give one to whoever came later.

A part of the model (`vectors`), made by training.py; loops.py computes with `arrays()`.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Numbers, grown, taller
from services.recommend.numbers import NO_ITEM
from services.recommend.vectors.labels import labels_of
from services.recommend.vectors.loops import NOBODY, Floats, Mask, VectorArrays
from shared.catalogue import ItemChanged
from shared.models.part import Part

NAME: Final = "vectors"
MOST_NEAREST: Final = 1_024
"""Items that `nearest_items` looks at: those touched most at training, and all that came later."""


@dataclass(frozen=True, slots=True)
class Owners:
    """Customers of the training, ascending by digest: digests int64[m], vectors float32[m, d],
    trained float32[m]: on how many items. key: of the digests, so that no list of them made
    elsewhere tells who is here."""

    key: bytes
    digests: Numbers
    vectors: Floats
    trained: Floats

    @classmethod
    def of(cls, key: bytes, names: Sequence[str], vectors: Floats, trained: Floats) -> "Owners":
        """Of identity keys, in any order."""
        digests = np.array([digest(key, name) for name in names], dtype=np.int64)
        order = np.argsort(digests, kind="stable")
        return cls(key, digests[order], vectors[order], trained[order])


@dataclass(frozen=True, slots=True)
class Labels:
    """The labels with vectors, ascending; vectors float32[labels, d] and biases; own: the bias
    that an item without one of its own is given."""

    names: list[str]
    vectors: Floats
    biases: Floats
    own: float


@dataclass(frozen=True, slots=True)
class Fold:
    """How a shopper's items become a vector: see loops.shopper_vector."""

    matrix: Floats
    centre: Floats
    shrink: float = 1.0
    recency: float = 1.0
    trust: float = 5.0


def digest(key: bytes, identity: str) -> int:
    """64 bits of an identity key, signed."""
    made = hashlib.blake2b(identity.encode(), key=key, digest_size=8).digest()
    return int.from_bytes(made, "little", signed=True)


def _floats(*shape: int) -> Floats:
    return np.zeros(shape, dtype=np.float32)


@dataclass(slots=True)
class Vectors:
    """By item number of this process: vectors float32[n, d], biases, known (has a vector), touched
    (rows at training). `facts`: settings and figures of training."""

    vectors: Floats = field(default_factory=lambda: _floats(1, 0))
    biases: Floats = field(default_factory=lambda: _floats(1))
    known: Mask = field(default_factory=lambda: np.zeros(1, dtype=np.bool_))
    touched: NDArray[np.int32] = field(default_factory=lambda: np.zeros(1, dtype=np.int32))
    owners: Owners = field(
        default_factory=lambda: Owners(b"", np.empty(0, np.int64), _floats(0, 0), _floats(0))
    )
    labels: Labels = field(default_factory=lambda: Labels([], _floats(0, 0), _floats(0), 0.0))
    fold: Fold = field(default_factory=lambda: Fold(_floats(0, 0), _floats(0)))
    facts: dict[str, Any] = field(default_factory=dict)
    units: Floats = field(init=False)
    _places: dict[str, int] = field(init=False)
    _arrays: VectorArrays | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._places = {label: place for place, label in enumerate(self.labels.names)}
        self.units = unit(self.vectors)

    def arrays(self) -> VectorArrays:
        """What compiled code takes; valid until the next `cover`."""
        if self._arrays is None:
            leading = self._leading()
            across = np.ascontiguousarray(self.vectors[leading].T)
            self._arrays = self._arrays_with(leading, across)
        return self._arrays

    def _arrays_with(self, leading: Numbers, across: Floats) -> VectorArrays:
        """across: the vectors of the leading, a column each."""
        fold, owners = self.fold, self.owners
        return (
            self.vectors,
            self.biases,
            self.known,
            owners.vectors,
            owners.trained,
            (fold.matrix, fold.centre, fold.shrink, fold.recency, fold.trust),
            leading,
            across,
            self.biases[leading],
        )

    def _leading(self) -> Numbers:
        known = np.flatnonzero(self.known)
        if len(known) > MOST_NEAREST:
            touched = self.touched[known]
            late = known[touched == 0]
            order = np.argsort(-touched, kind="stable")[:MOST_NEAREST]
            known = np.union1d(known[order], late)
        return known

    def customer(self, identity: str) -> int:
        """The row of an identity key that was there at training, else NOBODY."""
        digests = self.owners.digests
        if not len(digests):
            return NOBODY
        sought = digest(self.owners.key, identity)
        place = int(digests.searchsorted(sought))
        return place if place < len(digests) and int(digests[place]) == sought else NOBODY

    def cover(self, number: int, item: ItemChanged) -> None:
        """Give an item that came after training the vector of its labels; nothing happens to one
        that was trained, or of which no label is known."""
        places = [self._places[label] for label in labels_of(item) if label in self._places]
        if not places or (number < len(self.touched) and self.touched[number]):
            return
        length = number + 1
        self.make_room(length)
        self.vectors[number] = self.labels.vectors[places].mean(axis=0)
        self.units[number] = unit(self.vectors[number:length])[0]
        self.biases[number] = self.labels.biases[places].mean() + self.labels.own
        self.known[number] = True
        self._lead(number)

    def make_room(self, length: int) -> None:
        """For items of numbers below `length`: before there are requests that would wait for it."""
        self.vectors, self.units = taller(self.vectors, length), taller(self.units, length)
        self.biases, self.known = grown(self.biases, length), grown(self.known, length)
        self.touched = grown(self.touched, length)

    def _lead(self, number: int) -> None:
        """An item without training is always among the leading. Choosing all of them anew would
        take a millisecond of the requests' time for each such item."""
        if self._arrays is None:
            return
        leading, across = self._arrays[6], self._arrays[7]
        at = int(leading.searchsorted(number))
        if at < len(leading) and leading[at] == number:
            across[:, at] = self.vectors[number]
        else:
            leading = np.insert(leading, at, number)
            across = np.insert(across, at, self.vectors[number], axis=1)
        self._arrays = self._arrays_with(leading, across)

    def part(self) -> Part:
        """As it lies in the model store; numbers of items as they are here."""
        owners, labels, fold = self.owners, self.labels, self.fold
        arrays: dict[str, NDArray[np.generic]] = {
            "vectors": self.vectors,
            "biases": self.biases,
            "touched": self.touched,
            "digests": owners.digests,
            "customers": owners.vectors,
            "trained": owners.trained,
            "label_vectors": labels.vectors,
            "label_biases": labels.biases,
            "matrix": fold.matrix,
            "centre": fold.centre,
        }
        facts = self.facts | {
            "labels": labels.names,
            "own_bias": labels.own,
            "key": owners.key.hex(),
            "fold": {"shrink": fold.shrink, "recency": fold.recency, "trust": fold.trust},
        }
        return Part(NAME, arrays, facts)

    @classmethod
    def of(cls, part: Part, local: NDArray[np.integer]) -> "Vectors":
        """The part with this process's item numbers; local: by the part's numbers."""
        held: dict[str, Any] = dict(part.arrays)
        facts = dict(part.facts)
        length = int(local.max(initial=0)) + 1
        touched = np.zeros(length, dtype=np.int32)
        vectors, biases = _floats(length, held["vectors"].shape[1]), _floats(length)
        touched[local] = held["touched"]
        touched[NO_ITEM] = 0
        vectors[local], biases[local] = held["vectors"], held["biases"]
        key = bytes.fromhex(facts.pop("key"))
        return cls(
            vectors,
            biases,
            touched > 0,
            touched,
            Owners(key, held["digests"], held["customers"], held["trained"]),
            Labels(
                facts.pop("labels"),
                held["label_vectors"],
                held["label_biases"],
                facts.pop("own_bias"),
            ),
            Fold(held["matrix"], held["centre"], **facts.pop("fold")),
            facts,
        )


def unit(vectors: Floats) -> Floats:
    """Each row by its length; a row of zeros stays."""
    lengths = np.sqrt((vectors * vectors).sum(axis=1, keepdims=True))
    return (vectors / np.where(lengths > 0, lengths, 1)).astype(np.float32)
