"""LightFM for `attune evaluate next-item`: sessions are its users, and a running session is folded
in as the mean of its items' vectors.

Needs lightfm, which only training and evaluation import. Source: Kula, "Metadata Embeddings for
User and Item Cold-start Recommendations", 2015.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Numbers, best_first
from services.recommend.candidates.sessions import SessionIndex
from services.recommend.evaluation.methods import Method, Task
from shared.errors import InvalidInput

Floats: TypeAlias = NDArray[np.float32]

DIMENSIONS: Final = 32
EPOCHS: Final = (5, 10, 20)
RECENCIES: Final = (0.0, 0.5, 0.8, 1.0)
BIASES: Final = (0.0, 1.0)
MOST_CLICKS: Final = 20
MOST_PREDICTIONS: Final = 600
FEWEST_SESSIONS: Final = 20


def fit_items(index: SessionIndex, items: int, seed: int) -> Iterator[tuple[int, Floats, Floats]]:
    """After each of EPOCHS: their number, vectors float32[items, d] and biases float32[items], by
    item number. Raises InvalidInput where LightFM is not there."""
    try:
        from lightfm import LightFM  # noqa: PLC0415
        from scipy.sparse import coo_matrix  # noqa: PLC0415
    except ImportError:
        raise InvalidInput("the method lightfm needs the package lightfm-next") from None
    rows = index.rows[: index.total]
    session, column = np.nonzero(rows)
    cells = (session.astype(np.int32), rows[session, column])
    touched = coo_matrix((np.ones(len(session), dtype=np.float32), cells), (len(rows), items))
    model = LightFM(no_components=DIMENSIONS, loss="warp", random_state=seed)
    done = 0
    for epochs in EPOCHS:
        # one thread: with more, two trainings differ
        model.fit_partial(touched, epochs=epochs - done, num_threads=1)
        done = epochs
        yield done, model.item_embeddings.copy(), model.item_biases.copy()


class LightFmSessions(Method):
    """The items whose vectors lie nearest to the session's mean, the newest weighing most."""

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._counts = task.index.frequency
        chosen = self._choose() if task.index.total >= FEWEST_SESSIONS else (EPOCHS[0], 1.0, 1.0)
        epochs, self._recency, bias = chosen
        self.settings = {
            "dimensions": DIMENSIONS,
            "epochs": epochs,
            "recency": self._recency,
            "bias": bias,
        }
        for done, vectors, biases in fit_items(task.index, len(self._counts), task.seed):
            if done == epochs:
                self._vectors, self._biases = vectors, biases * bias
                break

    def _choose(self) -> tuple[int, float, float]:
        """Epochs, recency and weight of the bias that do best on the time split with the most
        sessions, or on the validation file where there is no split."""
        held = self.task.held_out[-1]
        clicks, begins, targets = held.predictions
        step = max(len(targets) // MOST_PREDICTIONS, 1)
        best, chosen = -1.0, (EPOCHS[0], 1.0, 1.0)
        self._counts = held.index.frequency
        for epochs, vectors, biases in fit_items(held.index, len(self._counts), self.task.seed):
            for recency in RECENCIES:
                for bias in BIASES:
                    self._vectors, self._biases, self._recency = vectors, biases * bias, recency
                    total = 0.0
                    for begin, target in zip(begins[::step], targets[::step], strict=True):
                        found = self.predict(clicks[begin:target])
                        place = np.flatnonzero(found == clicks[target])
                        total += 1.0 / (1 + int(place[0])) if len(place) else 0.0
                    if total > best + 1e-9:
                        best, chosen = total, (epochs, recency, bias)
        self._counts = self.task.index.frequency
        return chosen

    def predict(self, seen: Numbers) -> Numbers:
        """By the dot product with every item."""
        own = seen[-MOST_CLICKS:][::-1]
        own = own[own < len(self._vectors)]
        weights = np.float32(self._recency) ** np.arange(len(own), dtype=np.float32)
        mean = weights @ self._vectors[own] / max(float(weights.sum()), 1e-9)
        scores = (self._vectors @ mean + self._biases).astype(np.float64)
        scores[self._counts[: len(scores)] == 0] = -np.inf
        if not self.task.keep_current and seen[-1] < len(scores):
            scores[seen[-1]] = -np.inf
        items, _ = best_first(np.arange(len(scores)), scores, self.task.k)
        return items[scores[items] > -np.inf]
