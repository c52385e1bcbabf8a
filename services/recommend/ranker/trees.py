"""Regression trees as plain arrays, walked by a compiled loop: no LightGBM at run time.

Made by ranker/training.py of a trained model, kept in the model store, walked by ranker/serving.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Scores
from services.recommend.compiled import compiled
from services.recommend.features import Matrix
from shared.errors import InvalidInput

Nodes: TypeAlias = NDArray[np.int32]
Flags: TypeAlias = NDArray[np.bool_]
Places: TypeAlias = NDArray[np.uint32]
"""Without a sign: compiled code need not look whether an index counts from the end."""
TreeArrays: TypeAlias = tuple[Places, Scores, Places, Scores, Places, Flags, Scores, Places, Nodes]
"""Of each node twice the feature, and one more where nan goes right; the threshold, below what
stands for such a nan; then the fields of Trees."""

_GREATEST: Final = float(np.finfo(np.float64).max)
"""Of numbers that are not infinite: LightGBM tells nan from all others by an infinite threshold."""
_CATEGORICAL: Final = 1
_DEFAULT_LEFT: Final = 2
_ZERO_IS_MISSING: Final = 4
_NAN_IS_MISSING: Final = 8

TREES: Final = (
    "Tuple((uint32[::1], float64[::1], uint32[::1], float64[::1], uint32[::1], boolean[::1],"
    " float64[::1], uint32[::1], int32[::1]))"
)


@dataclass(frozen=True, slots=True)
class Trees:
    """All nodes of all trees, each tree's one behind the other, leaves among them.

    feature: column compared (0 at a leaf); threshold: at most this goes left; child: two a node,
    left and right, at a leaf the leaf itself; missing: whether a nan goes right; value: of a leaf
    what it adds, of another node what LightGBM gives as its mean; root, depth: by tree.
    """

    feature: Nodes
    threshold: Scores
    child: Nodes
    missing: Flags
    value: Scores
    root: Nodes
    depth: Nodes

    def __len__(self) -> int:
        return len(self.root)

    def arrays(self) -> TreeArrays:
        """As the compiled loops take them."""
        return (
            (2 * self.feature + self.missing).astype(np.uint32),
            np.minimum(self.threshold, _GREATEST),
            self.feature.astype(np.uint32),
            self.threshold,
            self.child.astype(np.uint32),
            self.missing,
            self.value,
            self.root.astype(np.uint32),
            self.depth,
        )

    def first(self, count: int) -> "Trees":
        """The first trees alone."""
        end = len(self.feature) if count >= len(self) else int(self.root[count])
        return Trees(
            self.feature[:end],
            self.threshold[:end],
            self.child[: 2 * end],
            self.missing[:end],
            self.value[:end],
            self.root[:count],
            self.depth[:count],
        )

    def placed(self, places: Sequence[int], held: Mapping[int, float]) -> "Trees":
        """The same trees over other columns: places[feature] is the column of each feature, below
        0 where there is none, so that it is missing, or is what `held` says of it."""
        child, feature = self.child.copy(), self.feature.copy()
        for node in np.flatnonzero(child[::2] != np.arange(len(feature))).tolist():
            column = places[feature[node]]
            if column >= 0:
                feature[node] = column
                continue
            value = held.get(int(feature[node]))
            right = self.missing[node] if value is None else value > self.threshold[node]
            child[2 * node : 2 * node + 2] = child[2 * node + int(right)]
            feature[node] = 0
        arrays = self.threshold, child, self.missing, self.value, self.root, self.depth
        return Trees(feature, *arrays)

    def score(self, features: Matrix) -> Scores:
        """What the trees add up to, by row."""
        return walk(np.ascontiguousarray(features), self.arrays())


@compiled(f"float64[::1](float64[:, ::1], {TREES})")
def walk(features: Matrix, trees: TreeArrays) -> Scores:
    """The sum over the trees, in their order, by row.

    All rows go down a tree side by side, a level at a time, and a leaf leads to itself: no step
    waits for another or is guessed wrong, which costs the processor more than steps in vain (a
    fifth of the time of one row after another).
    """
    side, threshold, _, _, child, _, value, root, depth = trees
    count = len(features)
    # each column twice, nan as what goes left and as what goes right: one look less a step
    columns = np.empty((2 * features.shape[1], count))
    for row in range(count):
        for column in range(features.shape[1]):
            held = features[row, column]
            lost = held != held  # noqa: PLR0124  (nan)
            columns[2 * column, row] = -np.inf if lost else min(held, _GREATEST)
            columns[2 * column + 1, row] = np.inf if lost else min(held, _GREATEST)
    scores = np.zeros(count)
    nodes = np.empty(count, dtype=np.uint32)
    two = np.uint32(2)
    for tree in range(len(root)):
        # all rows begin at one node, so that several at once can be compared with it
        top = root[tree]
        first, limit = columns[side[top]], threshold[top]
        left, right = child[two * top], child[two * top + np.uint32(1)]
        for row in range(count):
            nodes[row] = right if first[row] > limit else left
        for _ in range(1, depth[tree]):
            for row in range(count):
                node = nodes[row]
                further = columns[side[node], row] > threshold[node]
                nodes[row] = child[two * node + np.uint32(further)]
        for row in range(count):
            scores[row] += value[nodes[row]]
    return scores


@compiled(f"float64[:, ::1](float64[:, ::1], {TREES})")
def paths(features: Matrix, trees: TreeArrays) -> Matrix:
    """How much each feature moved each row's sum: along the way to the leaf, each step's change of
    the node's mean goes to the feature that was looked at (Saabas, 2014)."""
    _, _, feature, threshold, child, missing, value, root, depth = trees
    two = np.uint32(2)
    moved = np.zeros(features.shape)
    count = len(features)
    nodes = np.empty(count, dtype=np.uint32)
    for tree in range(len(root)):
        nodes[:] = root[tree]
        # side by side, as in `walk`
        for _ in range(depth[tree]):
            for row in range(count):
                node = nodes[row]
                column = feature[node]
                held = features[row, column]
                lost = held != held  # noqa: PLR0124  (nan)
                right = (held > threshold[node]) | (lost & missing[node])
                following = child[two * node + np.uint32(right)]
                # a column that is not there any more (Trees.placed) is no reason
                if child[two * node] != child[two * node + np.uint32(1)]:
                    moved[row, column] += value[following] - value[node]
                nodes[row] = following
    return moved


def parse_trees(model: str) -> Trees:
    """The trees in LightGBM's text of a model (`Booster.model_to_string()`).

    Raises InvalidInput for what we never train: categorical splits, zero as missing, linear trees.
    """
    parts = model.split("\nTree=")[1:]
    made = [_parse(part) for part in parts]
    firsts = np.cumsum([0, *(len(tree[0]) for tree in made)])
    moved = [
        (feature, threshold, child + first, missing, value)
        for (feature, threshold, child, missing, value, _), first in zip(made, firsts, strict=False)
    ]
    columns = [np.concatenate(column) for column in zip(*moved, strict=True)] if moved else []
    if not columns:
        raise InvalidInput("the ranker's model holds no tree")
    feature, threshold, child, missing, value = columns
    return Trees(
        feature.astype(np.int32),
        threshold.astype(np.float64),
        child.astype(np.int32),
        missing.astype(np.bool_),
        value.astype(np.float64),
        firsts[:-1].astype(np.int32),
        np.array([tree[5] for tree in made], dtype=np.int32),
    )


_Parsed: TypeAlias = tuple[Nodes, Scores, Nodes, Flags, Scores, int]


def _parse(text: str) -> _Parsed:
    """One tree: inner nodes first, then leaves."""
    found = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    leaves = np.array(found["leaf_value"].split(), dtype=np.float64)
    if len(leaves) == 1:
        nothing = np.zeros(1, dtype=np.int32)
        nowhere = np.zeros(1, dtype=np.bool_)
        return nothing, np.zeros(1), np.zeros(2, dtype=np.int32), nowhere, leaves, 0
    kinds = np.array(found["decision_type"].split(), dtype=np.int64)
    if np.any(kinds & (_CATEGORICAL | _ZERO_IS_MISSING)) or found.get("is_linear", "0") != "0":
        raise InvalidInput("the ranker's model holds splits that it is never trained with")
    inner = len(kinds)
    left, right = (
        np.array([_node(int(child), inner) for child in found[side].split()], dtype=np.int32)
        for side in ("left_child", "right_child")
    )
    threshold = np.array(found["threshold"].split(), dtype=np.float64)
    # where nan is not a value of its own, LightGBM takes it for 0
    goes_left = np.where(kinds & _NAN_IS_MISSING, kinds & _DEFAULT_LEFT, threshold >= 0.0)
    own = np.arange(inner, inner + len(leaves), dtype=np.int32)
    child = np.concatenate([np.stack([left, right], axis=1).ravel(), np.repeat(own, 2)])
    means = np.array(found["internal_value"].split(), dtype=np.float64)
    nothing = np.zeros(len(leaves), dtype=np.int32)
    return (
        np.concatenate([np.array(found["split_feature"].split(), dtype=np.int32), nothing]),
        np.concatenate([threshold, np.zeros(len(leaves))]),
        child,
        np.concatenate([goes_left == 0, np.zeros(len(leaves), dtype=np.bool_)]),
        np.concatenate([means, leaves]),
        _depth(child, inner),
    )


def _node(child: int, inner: int) -> int:
    return child if child >= 0 else inner - child - 1


def _depth(child: Nodes, inner: int) -> int:
    depth, level = 0, [0]
    while level:
        level = [int(at) for node in level if node < inner for at in child[2 * node : 2 * node + 2]]
        depth += bool(level)
    return depth
