"""Next basket on order files with known answers: who is asked, what is known, what is counted."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from services.recommend.evaluation.basket_blend import fit
from services.recommend.evaluation.main import command
from services.recommend.evaluation.next_basket import evaluate

DATA = Path(__file__).parents[4] / "shared" / "data" / "uci_online_retail"
NOW = 1_760_000_000_000
MAPPING = """
format: csv
time_zone: UTC
currency: EUR
columns:
  order: {column: order}
  customer: {column: customer}
  item: {column: item}
  quantity: {column: quantity, type: integer}
  price: {column: price, type: money}
  occurred_at: {column: time, type: time}
facts:
  - type: purchased
group_by: order
"""


@pytest.fixture
def mapping(tmp_path: Path) -> str:
    path = tmp_path / "orders.yaml"
    path.write_text(MAPPING)
    return str(path)


def write(path: Path, orders: list[tuple[str, int, str]]) -> Path:
    """A file of (customer, day of January, items, one letter each)."""
    rows = ["order,customer,item,quantity,price,time"]
    for number, (customer, day, items) in enumerate(sorted(orders, key=lambda order: order[1])):
        rows += [f"{number},{customer},{item},1,2.50,2025-01-{day:02}T10:00:00Z" for item in items]
    path.write_text("\n".join(rows) + "\n")
    return path


def results(path: Path, mapping: str, k: int = 2) -> dict[str, dict]:
    rows = evaluate(path, mapping, k=k, seed=1, now_ms=NOW, say=lambda _: None)
    return {row["method"]: row for row in rows}


def test_the_last_order_of_who_has_three_is_foretold_from_all_others(
    tmp_path: Path, mapping: str
) -> None:
    orders = [
        *[("ann", 1, "ab"), ("ann", 8, "a"), ("ann", 15, "ac"), ("ann", 22, "acd")],
        *[("bob", 2, "xy"), ("bob", 9, "x"), ("bob", 16, "xz")],
        *[("cid", 3, "x"), ("cid", 4, "x")],
    ]
    found = results(write(tmp_path / "orders.csv", orders), mapping)
    personal, popular = found["most-frequent-personal"], found["popularity"]
    assert personal["n_customers"] == 2
    # ann: a thrice, then b or c of which b comes first; bob: x twice, then y. 1 of 3, 1 of 2
    assert personal["recall"] == pytest.approx((1 / 3 + 1 / 2) / 2, abs=1e-5)
    # the hit stands first: 1 / (1 + 1 / log2 3) for two places
    assert personal["ndcg"] == pytest.approx(1 / (1 + 1 / np.log2(3)), abs=1e-5)
    # known are four x (cid's are two of them), three a: bob's z is not, nor ann's d
    assert popular["recall"] == personal["recall"]
    assert set(found["shipped"]["difference"]) == {"against", "estimate", "ci95"}


def test_weights_are_learned_from_the_orders_before_the_last(tmp_path: Path, mapping: str) -> None:
    """Everybody took one item three times and stays with another from then on."""
    orders = [
        (f"c{customer}", day, "abcdef"[customer % 6] if day < 4 else "uvwxyz"[customer % 6])
        for customer in range(60)
        for day in range(1, 7)
    ]
    found = results(write(tmp_path / "orders.csv", orders), mapping, k=1)
    assert found["most-frequent-personal"]["recall"] == 0
    assert found["shipped"]["recall"] == 1
    assert found["shipped"]["difference"]["ci95"] == [1, 1]


def test_the_same_file_gives_the_same_figures(tmp_path: Path, mapping: str) -> None:
    draw = np.random.default_rng(3)
    orders = [
        (f"c{customer}", day, "".join(draw.permutation(list("abcdefgh"))[:3]))
        for customer in range(30)
        for day in range(1, 6)
    ]
    path = write(tmp_path / "orders.csv", orders)
    assert results(path, mapping) == results(path, mapping)


def test_bad_input_is_told_in_one_line(tmp_path: Path, mapping: str) -> None:
    few = write(tmp_path / "few.csv", [("ann", 1, "ab"), ("ann", 2, "a")])
    empty = tmp_path / "empty.csv"
    empty.write_text("")
    lacking = tmp_path / "lacking.csv"
    lacking.write_text("order,customer\n1,ann\n")
    dear = tmp_path / "dear.csv"
    dear.write_text(few.read_text().replace("2.50", "dear"))
    for path, said in (
        (few, "at least 3 orders"),
        (dear, "no row became a fact (bad_price 3)"),
        (empty, "empty.csv"),
        (lacking, "no column"),
        (tmp_path / "none.csv", "none.csv"),
    ):
        asked = ["next-basket", "--orders", str(path), "--mapping", mapping, "--json"]
        outcome = CliRunner().invoke(command, asked)
        assert outcome.exit_code == 2, path
        assert said in outcome.output


def test_the_command_prints_what_is_agreed(tmp_path: Path, mapping: str) -> None:
    orders = [("ann", day, "ab") for day in range(1, 5)] + [
        ("bob", day, "c") for day in range(1, 5)
    ]
    path = write(tmp_path / "orders.csv", orders)
    asked = ["next-basket", "--orders", str(path), "--mapping", mapping, "--k", "3", "--json"]
    outcome = CliRunner().invoke(command, asked)
    assert outcome.exit_code == 0
    told = json.loads(outcome.stdout)
    assert told["shipped"] == "shipped"
    assert {"method", "n_customers", "recall", "recall_ci95", "ndcg"} <= set(told["results"][0])
    assert [row["recall"] for row in told["results"]] == [1.0] * 4


def test_weights_follow_what_was_bought() -> None:
    features = np.array([[0, 1], [0, 0], [1, 1], [1, 0]] * 50, dtype=np.float32)
    blend = fit(features, np.array([0.0, 0, 1, 1] * 50))
    assert blend.weights[0] > 2
    assert abs(blend.weights[1]) < 1e-9
    scores = blend.scores(features)
    assert scores[2] > 0 > scores[0]


@pytest.mark.data
@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is absent")
def test_uci_is_foretold_better_than_by_what_was_bought_most() -> None:
    path = DATA / "online_retail.csv.gz"
    rows = evaluate(path, "uci-online-retail", k=10, seed=1, now_ms=NOW, say=lambda _: None)
    recall = {row["method"]: row["recall"] for row in rows}
    assert recall["shipped"] > 1.1 * recall["most-frequent-personal"] > recall["popularity"]
