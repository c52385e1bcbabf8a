"""LightFM on interactions: the one place that imports it, inside a function, since only training
needs it.

Between interactions.py and choosing.py. One thread: with more, two trainings differ. Source: Kula,
"Metadata Embeddings for User and Item Cold-start Recommendations" (2015).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from services.recommend.vectors.interactions import Interactions
from services.recommend.vectors.labels import vocabulary
from services.recommend.vectors.loops import Floats

if TYPE_CHECKING:
    from scipy.sparse import csr_array

Labelled = Sequence[Sequence[str]]
"""Labels of each user or item, in order of their numbers."""
CHECKPOINT: Final = 5
"""Epochs between two looks at how good the vectors are."""


@dataclass(frozen=True, slots=True)
class VectorSettings:
    """loss: warp or bpr; alpha: L2 penalty; weighted: whether rows count by their weight."""

    loss: str = "warp"
    dimensions: int = 32
    learning_rate: float = 0.05
    alpha: float = 0.0
    epochs: int = 20
    weighted: bool = False


@dataclass(frozen=True, slots=True)
class Features:
    """One feature an own identity, then one a label: labels; matrix csr_array[rows, rows +
    labels], identity 1, an own label 1 over how many there are."""

    labels: list[str]
    matrix: "csr_array"

    @classmethod
    def of(cls, rows: int, labelled: Labelled = ()) -> "Features":
        """Of the labels, those worth a vector (labels.vocabulary)."""
        from scipy.sparse import coo_array  # noqa: PLC0415  (training only)

        labels = vocabulary(labelled)
        places = {label: rows + place for place, label in enumerate(labels)}
        at, columns, shares = list(range(rows)), list(range(rows)), [1.0] * rows
        for row, own in enumerate(labelled):
            known = [places[label] for label in own if label in places]
            at += [row] * len(known)
            columns += known
            shares += [1.0 / max(len(known), 1)] * len(known)
        data = np.array(shares, dtype=np.float32)
        where = np.array([at, columns], dtype=np.int32)  # LightFM takes no other
        matrix = coo_array((data, (where[0], where[1])), shape=(rows, rows + len(labels))).tocsr()
        return cls(labels, matrix)


class Factors(NamedTuple):
    """By feature, of items and of users: vectors float32[features, d] and biases. The score of a
    pair is the dot product of the summed vectors and the item's summed bias."""

    items: Floats
    item_biases: Floats
    users: Floats


class Summed(NamedTuple):
    """By item and by user: each one's features summed."""

    items: Floats
    biases: Floats
    users: Floats

    def scores(self, users: "slice | np.ndarray[tuple[int], np.dtype[np.int64]]") -> Floats:
        """float32[users, items]."""
        return self.users[users] @ self.items.T + self.biases


def summed(factors: Factors, items: Features, users: Features) -> Summed:
    """The vectors of things out of those of their features."""
    return Summed(
        np.ascontiguousarray(items.matrix @ factors.items),
        items.matrix @ factors.item_biases,
        np.ascontiguousarray(users.matrix @ factors.users),
    )


def can_fit() -> bool:
    """Whether LightFM is there."""
    try:
        import lightfm  # noqa: F401, PLC0415
    except ImportError:
        return False
    return True


def fit(
    data: Interactions,
    items: Features,
    users: Features,
    settings: VectorSettings,
    seed: int,
    advance: Callable[[int], None] = lambda epochs: None,
) -> Factors:
    """Learn vectors; `advance` is told how many epochs went by each time some did."""
    factors = None
    for epochs, found in path(data, items, users, settings, seed):
        factors = found
        advance(epochs)
    assert factors is not None  # noqa: S101  (at least one epoch)
    return factors


def path(
    data: Interactions, items: Features, users: Features, settings: VectorSettings, seed: int
) -> Iterator[tuple[int, Factors]]:
    """The vectors after every CHECKPOINT epochs and after the last, with the epochs since the one
    before. What is yielded changes with the next step."""
    from lightfm import LightFM  # noqa: PLC0415
    from scipy.sparse import coo_matrix, csr_matrix  # noqa: PLC0415

    model = LightFM(
        no_components=settings.dimensions,
        loss=settings.loss,
        learning_rate=settings.learning_rate,
        item_alpha=settings.alpha,
        user_alpha=settings.alpha,
        random_state=seed,
    )
    where, shape = (data.user, data.item), (data.users, data.items)
    rows = coo_matrix((np.ones(len(data.user), dtype=np.float32), where), shape=shape)
    weights = None
    if settings.weighted:
        weights = coo_matrix((data.weight / data.weight.mean(), where), shape=shape)
    done = 0
    while done < settings.epochs:
        epochs = min(CHECKPOINT, settings.epochs - done)
        model.fit_partial(
            rows,
            user_features=csr_matrix(users.matrix),
            item_features=csr_matrix(items.matrix),
            sample_weight=weights,
            epochs=epochs,
            num_threads=1,
        )
        done += epochs
        yield epochs, Factors(model.item_embeddings, model.item_biases, model.user_embeddings)
