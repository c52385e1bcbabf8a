"""`attune evaluate top-n`: which items does a user take up next?

A user's training items are masked: none may be recommended again, and none counts where the test
names it once more. All other test rows with a rating above 0 are wanted (all rows, where no rating
is); a wanted item that neither the training nor the items file knows counts as missed. Settings
come from a time split of the training file, never from the test file.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from services.recommend.arrays import Numbers
from services.recommend.evaluation.scores import interval
from services.recommend.evaluation.top_n_files import Rating, read_labels, read_ratings
from services.recommend.evaluation.top_n_methods import SHIPPED, Fitted, Task, fitted
from services.recommend.vectors.choosing import MOST_CELLS
from services.recommend.vectors.fit import can_fit
from services.recommend.vectors.interactions import Interactions, interactions_of
from services.recommend.vectors.lists import Quality, best_unmasked, hits, measure
from shared.errors import InvalidInput


class Asked(NamedTuple):
    """users: those with a wanted item; seen, wanted: pairs; missed: by user, wanted items that
    nobody could recommend."""

    users: Numbers
    seen: Interactions
    wanted: Interactions
    missed: Numbers


def evaluate(
    interactions: Path,
    test: Path,
    *,
    items: Path | None,
    users: Path | None,
    methods: Sequence[str],
    k: int,
    seed: int,
    say: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Rows of `results`. Raises InvalidInput for a file that cannot be read or is empty."""
    trained, tested = read_ratings(interactions), read_ratings(test)
    item_labels = read_labels(items, "item") if items else {}
    user_labels = read_labels(users, "user") if users else {}
    if not can_fit():
        raise InvalidInput("lightfm cannot be imported, so there is nothing to compare with")
    item_of = _numbered({row.item for row in trained} | set(item_labels))
    user_of = _numbered({row.user for row in [*trained, *tested]})
    shape = len(user_of), len(item_of)
    seen = _pairs(trained, user_of, item_of, shape)
    learned = _pairs(_liked(trained), user_of, item_of, shape)
    asked = _asked(tested, seen, user_of, item_of)
    task = Task(learned, _labels(item_labels, item_of), _labels(user_labels, user_of), seed, say)
    found = {name: _measured(fitted(task, name), asked, k) for name in methods}
    new = np.count_nonzero(np.bincount(seen.user, minlength=shape[0])[asked.users] == 0)
    rows = [
        _row(name, task.fitted[name], found[name], k, seed) | {"n_users_new": int(new)}
        for name in methods
    ]
    _compare(found, rows, seed)
    return rows


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(sorted(names))}


def _labels(labels: Mapping[str, list[str]], number_of: Mapping[str, int]) -> list[list[str]]:
    return [labels.get(name, []) for name in number_of] if labels else []


def _liked(rows: list[Rating]) -> list[Rating]:
    return [row for row in rows if row.rating > 0] or rows


def _pairs(
    rows: list[Rating],
    user_of: Mapping[str, int],
    item_of: Mapping[str, int],
    shape: tuple[int, int],
) -> Interactions:
    return interactions_of(
        np.array([user_of[row.user] for row in rows], dtype=np.int64),
        np.array([item_of[row.item] for row in rows], dtype=np.int64),
        np.array([row.rating for row in rows]),
        np.array([int(row.time * 1_000) for row in rows], dtype=np.int64),
        shape,
    )


def _asked(
    tested: list[Rating],
    seen: Interactions,
    user_of: Mapping[str, int],
    item_of: Mapping[str, int],
) -> Asked:
    liked = {(row.user, row.item): row for row in _liked(tested)}
    wanted = _pairs(
        [row for row in liked.values() if row.item in item_of],
        user_of,
        item_of,
        (seen.users, seen.items),
    )
    known = np.isin(
        wanted.user.astype(np.int64) * seen.items + wanted.item,
        seen.user.astype(np.int64) * seen.items + seen.item,
    )
    wanted = wanted.where(~known)
    strange = [user_of[user] for user, item in liked if item not in item_of]
    missed = np.bincount(np.array(strange, dtype=np.int64), minlength=seen.users)
    count = np.bincount(wanted.user, minlength=seen.users) + missed
    users = np.flatnonzero(count)
    if not len(users):
        raise InvalidInput("the test file has no interaction that is not in the training file")
    return Asked(users, seen, wanted, missed)


def _measured(method: Fitted, asked: Asked, k: int) -> Quality:
    seen, wanted = asked.seen.matrix(), asked.wanted.matrix()
    block = max(1, MOST_CELLS // max(asked.seen.items, 1))
    found = []
    for begin in range(0, len(asked.users), block):
        users = asked.users[begin : begin + block].astype(np.int64)
        scores = np.ascontiguousarray(method.score(users), dtype=np.float32)
        lists = best_unmasked(scores, seen.indptr, seen.indices, users, k)
        found.append(hits(lists, wanted.indptr, wanted.indices, users))
    wanted_by = np.diff(wanted.indptr)[asked.users] + asked.missed[asked.users]
    return measure(np.concatenate(found), wanted_by)


def _row(name: str, method: Fitted, found: Quality, k: int, seed: int) -> dict[str, Any]:
    """As CLI.md has it."""
    users = list(range(len(found.ndcg)))
    row: dict[str, Any] = {"method": name, "k": k, "n_users": len(users)}
    for measure_name, values in found._asdict().items():
        row[measure_name] = round(float(values.mean()), 5)
        row[f"{measure_name}_ci95"] = interval(values.tolist(), users, seed)
    return row | {"settings": method.settings}


def _compare(found: Mapping[str, Quality], rows: list[dict[str, Any]], seed: int) -> None:
    """The shipped method's paired difference in nDCG to the strongest other, where both ran."""
    others = [name for name in found if name != SHIPPED]
    if SHIPPED not in found or not others:
        return
    strongest = max(others, key=lambda name: float(found[name].ndcg.mean()))
    paired = (found[SHIPPED].ndcg - found[strongest].ndcg).tolist()
    row = next(row for row in rows if row["method"] == SHIPPED)
    row["difference"] = {
        "against": strongest,
        "estimate": round(float(np.mean(paired)), 5),
        "ci95": interval(paired, list(range(len(paired))), seed),
    }
