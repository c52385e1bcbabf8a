"""`attune evaluate top-n` on files small enough to know the answers."""

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from services.cli import main
from services.recommend.arrays import Numbers
from services.recommend.evaluation.top_n_methods import METHODS
from services.recommend.vectors.lists import best_unmasked, measure

HEADER = "user\titem\trating\ttime\n"


def write(path: Path, rows: list[tuple[str, str, float, int]]) -> Path:
    path.write_text(HEADER + "".join(f"{u}\t{i}\t{r}\t{t}\n" for u, i, r, t in rows))
    return path


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(
        main, ["evaluate", "top-n", *map(str, arguments), "--json"], catch_exceptions=False
    )
    return result.exit_code, result.stdout, result.stderr


def test_popularity_has_the_answers_one_counts_by_hand(tmp_path: Path) -> None:
    train = write(
        tmp_path / "train.tsv",
        [
            ("a", "x", 5, 1),
            ("b", "x", 4, 1),
            ("c", "x", 3, 1),
            ("a", "y", 3, 2),
            ("b", "y", 1, 2),
            ("c", "z", 2, 2),
        ],
    )
    # a has x and y: z is first. d is new: x, y. c: y first; "unheard" can only be missed.
    # b's x is of the training, so it is not asked; a rating of 0 is not wanted.
    test = write(
        tmp_path / "test.tsv",
        [
            ("a", "z", 4, 9),
            ("d", "y", 4, 9),
            ("c", "y", 4, 9),
            ("c", "unheard", 4, 9),
            ("b", "x", 5, 9),
            ("b", "z", 0, 9),
        ],
    )
    code, out, _ = run("--interactions", train, "--test", test, "--k", 2, "--method", "popularity")
    assert code == 0
    report = json.loads(out.splitlines()[-1])
    (row,) = report["results"]
    assert (row["method"], row["k"], row["n_users"], row["n_users_new"]) == ("popularity", 2, 3, 1)
    assert row["precision"] == pytest.approx((0.5 + 0.5 + 0.5) / 3, abs=1e-5)
    assert row["recall"] == pytest.approx((1 + 1 + 0.5) / 3, abs=1e-5)
    second = 1 / np.log2(3)
    assert row["ndcg"] == pytest.approx((1 + second + 1 / (1 + second)) / 3, abs=1e-5)
    assert row["ndcg_ci95"][0] <= row["ndcg"] <= row["ndcg_ci95"][1]
    assert report["shipped"] == "blend"


def test_all_methods_beat_popularity_where_users_have_tastes(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    train, test = [], []
    for user in range(120):
        own = random.permutation(30)[:14] * 4 + user % 4
        rows = [(f"u{user}", f"i{item}", 4.0, place) for place, item in enumerate(own)]
        train += rows[:10]
        test += rows[10:]
    items = tmp_path / "items.tsv"
    items.write_text("item\tgenre\n" + "".join(f"i{n}\t{n % 4}|all\n" for n in range(120)))
    files = (write(tmp_path / "train.tsv", train), write(tmp_path / "test.tsv", test))
    asked = ("--interactions", files[0], "--test", files[1], "--items", items)
    code, out, _ = run(*asked)
    assert code == 0
    found = {row["method"]: row for row in json.loads(out.splitlines()[-1])["results"]}
    assert list(found) == list(METHODS)
    for name, row in found.items():
        assert row["n_users"] == 120
        if name != "popularity":
            assert row["ndcg"] > found["popularity"]["ndcg"], name
    assert found["blend"]["difference"]["against"] in METHODS
    again = json.loads(run(*asked)[1].splitlines()[-1])["results"]
    assert again == list(found.values())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the file is empty"),
        (HEADER, "no interactions"),
        ("user\titem\ttime\na\tx\t1\n", "no column 'rating'"),
        (HEADER + "a\tx\tgood\t1\n", "line 2: rating or time is not a number"),
        (HEADER + "a\tx\n", "line 2: too few columns"),
        (HEADER + "a\tx\tnan\t1\n", "line 2: rating or time is out of range"),
    ],
)
def test_bad_input_ends_with_one_line(tmp_path: Path, text: str, said: str) -> None:
    good = write(tmp_path / "good.tsv", [("a", "x", 1, 1)])
    bad = tmp_path / "bad.tsv"
    bad.write_text(text)
    code, _, error = run("--interactions", bad, "--test", good, "--method", "popularity")
    assert code == 2
    assert said in error
    assert len(error.splitlines()) == 1


def test_nothing_to_ask_is_bad_input(tmp_path: Path) -> None:
    same = write(tmp_path / "same.tsv", [("a", "x", 1, 1)])
    code, _, error = run("--interactions", same, "--test", same, "--method", "popularity")
    assert code == 2
    assert "no interaction that is not in the training file" in error


def test_lists_leave_out_the_masked_and_break_ties_by_number() -> None:
    scores = np.array([[1, 3, 3, 2], [0, 0, 0, 0]], dtype=np.float32)
    bounds = np.array([0, 1, 1], dtype=np.int32)
    users: Numbers = np.array([0, 1])
    lists = best_unmasked(scores, bounds, np.array([1], dtype=np.int32), users, 5)
    assert lists.tolist() == [[2, 3, 0, -1, -1], [0, 1, 2, 3, -1]]


def test_quality_of_lists() -> None:
    found = measure(np.array([[True, False], [False, False]]), np.array([1, 5]))
    assert found.precision.tolist() == [0.5, 0.0]
    assert found.recall.tolist() == [1.0, 0.0]
    assert found.ndcg.tolist() == [1.0, 0.0]
