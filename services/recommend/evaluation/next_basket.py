"""`attune evaluate next-basket`: what will a customer's next order hold?

Of each customer with at least three orders the last one is the test, the penultimate validation.
What is known is every other order: for validation without both, for the test without the test's.
The blend's weights come of validation alone; nothing else is chosen.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from services.recommend.arrays import Numbers, Scores
from services.recommend.evaluation.basket_blend import fit
from services.recommend.evaluation.basket_features import NAMES, Table, candidates_of
from services.recommend.evaluation.basket_known import Known, known_from, places
from services.recommend.evaluation.scores import interval
from services.recommend.training.building import HistoryBuilder
from services.recommend.training.file import prepared, read_file
from services.recommend.training.history import History
from shared.errors import InvalidInput

SHIPPED: Final = "shipped"
FEWEST_ORDERS: Final = 3
MOST_CUSTOMERS: Final = 20_000
"""Customers measured; of more, so many evenly by code."""
CELLS: Final = 1_000_000
"""Customers times items looked at together: what bounds memory (100 bytes each)."""


class Task(NamedTuple):
    """Who comes when, what they then buy (keys: place x items + item, ascending; size: by place),
    and what is known before."""

    known: Known
    customers: Numbers
    now: Numbers
    bought: Numbers
    sizes: Numbers
    items: int


class Answers(NamedTuple):
    """Candidates of all customers: place, item, features, and whether it was bought (1 or 0)."""

    place: Numbers
    item: Numbers
    features: Table
    bought: Scores


def evaluate(
    orders: Path, mapping: str, *, k: int, seed: int, now_ms: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Rows of `results`. Raises InvalidInput where the file or the mapping is at fault."""
    builder = HistoryBuilder()
    say(f"reading {orders.name}")
    read_file(prepared(orders, mapping), builder, now_ms)
    return measure(builder.history(), k=k, seed=seed, say=say)


def measure(
    history: History, *, k: int, seed: int, say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Rows of `results`: each method on the last orders. Raises InvalidInput without such."""
    say("choosing weights on the orders before the last")
    blend = None
    valid = answers(task_of(history, held_out=2))
    if valid.bought.any():
        blend = fit(valid.features, valid.bought)
    task = task_of(history, held_out=1)
    say(f"measuring on the last orders of {len(task.customers)} customers")
    found = answers(task)
    column = dict(zip(NAMES, found.features.T.astype(np.float64), strict=True))
    frequent = np.rint(np.expm1(column["orders"]))
    # what was never bought follows in the order of popularity
    filling = np.where(frequent > 0, 0.0, np.exp(column["popular"]) / 1e3)
    scores = {
        "popularity": column["popular"],
        "most-frequent-personal": frequent + filling,
        "most-frequent-personal-popular": frequent + np.exp(column["popular"]) / 1e3,
        SHIPPED: blend.scores(found.features) if blend else frequent + filling,
    }
    weights = dict(zip(NAMES, blend.weights[:-1].round(3).tolist(), strict=True)) if blend else {}
    measured = {name: measures(task, found, values, k) for name, values in scores.items()}
    rows = [_row(name, *values, k, seed) for name, values in measured.items()]
    rows[-1]["settings"] = {"weights": weights}
    _compare({name: values[0] for name, values in measured.items()}, rows[-1], seed)
    return rows


def task_of(history: History, held_out: int) -> Task:
    """The task whose orders are the last but `held_out` - 1 of each customer with enough."""
    lines, size = history.lines, len(history.items)
    identified = np.array([key.startswith("c:") for key in history.customers], dtype=np.bool_)
    orders, after = places(lines, len(history.customers))
    chosen = np.flatnonzero(identified & (orders >= FEWEST_ORDERS))
    if not len(chosen):
        raise InvalidInput(
            f"no customer with at least {FEWEST_ORDERS} orders: there is no last one to foretell"
        )
    chosen = chosen[:: -(-len(chosen) // MOST_CUSTOMERS)]
    place_of = np.full(len(orders), -1)
    place_of[chosen] = np.arange(len(chosen))
    held = place_of[lines.customer] >= 0
    asked = held & (after == held_out - 1)
    known = lines.only(~(held & (after < held_out)))
    now = np.zeros(len(chosen), dtype=np.int64)
    at = place_of[lines.customer[asked]]
    now[at] = lines.at[asked]
    bought = np.sort(at * size + lines.item[asked])
    sizes = np.bincount(at, minlength=len(chosen))
    return Task(known_from(history, known, identified), chosen, now, bought, sizes, size)


def answers(task: Task) -> Answers:
    """The candidates of every customer of a task."""
    rows_of, items, tables = [], [], []
    step = max(1, CELLS // task.items)
    for begin in range(0, len(task.customers), step):
        some = slice(begin, begin + step)
        rows, found, features = candidates_of(task.known, task.customers[some], task.now[some])
        rows_of.append(rows + begin)
        items.append(found)
        tables.append(features)
    place, item = np.concatenate(rows_of), np.concatenate(items)
    bought = np.isin(place * task.items + item, task.bought).astype(np.float64)
    return Answers(place, item, np.concatenate(tables), bought)


def measures(task: Task, found: Answers, scores: Scores, k: int) -> tuple[Scores, Scores]:
    """recall@k and nDCG@k of each customer; equal scores in the order of item numbers."""
    order = np.lexsort((found.item, -scores, found.place))
    place, bought = found.place[order], found.bought[order]
    begins = np.searchsorted(place, np.arange(len(task.sizes)))
    rank = np.arange(len(place)) - begins[place]
    shown = rank < k
    hits = np.bincount(place[shown], weights=bought[shown], minlength=len(task.sizes))
    discount = 1.0 / np.log2(np.arange(k) + 2.0)
    gained = bought[shown] * discount[rank[shown]]
    gain = np.bincount(place[shown], weights=gained, minlength=len(task.sizes))
    ideal = np.cumsum(discount)[np.minimum(task.sizes, k) - 1]
    return hits / task.sizes, gain / ideal


def _row(name: str, recall: Scores, ndcg: Scores, k: int, seed: int) -> dict[str, Any]:
    customers = list(range(len(recall)))
    return {
        "method": name,
        "k": k,
        "n_customers": len(recall),
        "recall": round(float(recall.mean()), 5),
        "recall_ci95": interval(recall.tolist(), customers, seed),
        "ndcg": round(float(ndcg.mean()), 5),
        "ndcg_ci95": interval(ndcg.tolist(), customers, seed),
    }


def _compare(recalls: dict[str, NDArray[np.float64]], row: dict[str, Any], seed: int) -> None:
    """The shipped method's paired difference to the strongest other."""
    own = recalls[SHIPPED]
    name, other = max(
        ((name, values) for name, values in recalls.items() if name != SHIPPED),
        key=lambda pair: float(pair[1].mean()),
    )
    row["difference"] = {
        "against": name,
        "estimate": round(float((own - other).mean()), 5),
        "ci95": interval((own - other).tolist(), list(range(len(own))), seed),
    }
