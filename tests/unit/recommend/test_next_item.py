"""`attune evaluate next-item` on small files, and the search behind it."""

import gzip
import json
from pathlib import Path
from random import Random
from typing import Any

import pytest
from click.testing import CliRunner

from services.recommend.candidates.neighbour_weights import NeighbourSettings
from services.recommend.candidates.neighbours import efforts
from services.recommend.evaluation.compared import METHODS
from services.recommend.evaluation.main import command
from services.recommend.training.build import hold_out, predictions_of
from services.recommend.training.neighbour_search import (
    BLEND,
    BLEND_DESIGNS,
    MOST_EFFORT,
    Search,
    with_current,
)
from services.recommend.training.session_settings import choose_settings

HEADER = "SessionId\tItemId\tTime\n"


def sessions_of(count: int, seed: int = 1, items: int = 30) -> list[list[int]]:
    """Shoppers walk along the shelf, and half of the time go back to where they came from."""
    random = Random(seed)
    sessions = []
    for _ in range(count):
        session = [random.randint(1, items)]
        for _ in range(random.randint(2, 6)):
            if len(session) > 1 and random.random() < 0.5:
                session.append(session[-2])
            else:
                session.append(session[-1] % items + 1)
        sessions.append(session)
    return sessions


def write(path: Path, sessions: list[list[int]], first: float = 0.0) -> Path:
    lines = [
        f"{number}\t{item}\t{first + 100 * number + place + 0.5}\n"
        for number, session in enumerate(sessions)
        for place, item in enumerate(session)
    ]
    Random(1).shuffle(lines)
    path.write_text(HEADER + "".join(lines))
    return path


def run(*arguments: str | Path) -> tuple[int, dict[str, Any], str]:
    given = ["next-item", *map(str, arguments), "--json"]
    done = CliRunner().invoke(command, given)
    report = json.loads(done.stdout.splitlines()[-1]) if done.exit_code == 0 else {}
    return done.exit_code, report, done.stderr


def test_all_methods_on_a_small_file(tmp_path: Path) -> None:
    train = write(tmp_path / "train", sessions_of(120))
    valid = write(tmp_path / "valid", sessions_of(20, seed=2), first=1e6)
    test = write(tmp_path / "test", sessions_of(40, seed=3), first=2e6)
    files = ("--train", train, "--valid", valid, "--test", test, "--k", "5")
    status, report, said = run(*files, "--drop-current")
    assert status == 0, said
    rows = {row["method"]: row for row in report["results"]}
    assert list(rows) == list(METHODS)
    assert report["shipped"] == "shipped"
    for row in rows.values():
        assert set(row) >= {"method", "k", "n", "hr", "mrr", "mrr_ci95", "p50_us", "settings"}
        assert row["n"] == sum(len(session) - 1 for session in sessions_of(40, seed=3))
        assert 0.0 <= row["mrr_ci95"][0] <= row["mrr"] <= row["mrr_ci95"][1] <= row["hr"] <= 1.0
    others = [row["mrr"] for name, row in rows.items() if name != "shipped"]
    # half of the time the next item is the one before, which only the shipped method weighs much
    assert rows["shipped"]["mrr"] > max(others) + 0.02
    difference = rows["shipped"]["difference"]
    assert difference["against"] in rows
    assert difference["ci95"][0] <= difference["estimate"] <= difference["ci95"][1]
    again = run(*files, "--drop-current", "--method", "shipped")[1]["results"][0]
    assert (again["mrr"], again["settings"]) == (
        rows["shipped"]["mrr"],
        rows["shipped"]["settings"],
    )
    kept = run(*files, "--keep-current", "--method", "vmis")[1]["results"][0]
    assert kept["mrr"] < rows["vmis"]["mrr"]


def test_odd_files_are_read(tmp_path: Path) -> None:
    odd = [[1], [2, 2, 2], [1, 2, 3], [4, 5], list(range(1, 31)) * 40, [3, 1]]
    train = write(tmp_path / "train", odd)
    packed = tmp_path / "test.gz"
    text = write(tmp_path / "test", [[1], [99, 1, 98, 2], [97], [1, 1]]).read_text()
    packed.write_bytes(gzip.compress((text + "\n").encode()))
    status, report, said = run("--train", train, "--test", packed, "--drop-current")
    assert status == 0, said
    # what is unknown in training is left out: 1 then 2, and 1 then 1, which is never named
    assert {row["n"] for row in report["results"]} == {2}
    assert {row["hr"] for row in report["results"]} == {0.5}


def test_a_file_too_small_to_hold_anything_out(tmp_path: Path) -> None:
    train = write(tmp_path / "train", [[1, 2]])
    status, report, said = run("--train", train, "--test", train, "--keep-current")
    assert status == 0, said
    assert report["results"][-1]["mrr"] > 0.0


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "the file is empty"),
        (HEADER, "at least one click"),
        ("SessionId\tTime\n1\t2\n", "no column 'ItemId'"),
        (HEADER + "1\t2\tsoon\n", "line 2: Time is not a number"),
        (HEADER + "1\t2\tnan\n", "line 2: Time is not a number"),
        (HEADER + "1\t2\n", "line 2: too few columns"),
    ],
)
def test_a_bad_file_is_one_clear_line(tmp_path: Path, text: str, complaint: str) -> None:
    good = write(tmp_path / "good", [[1, 2]])
    bad = tmp_path / "bad"
    bad.write_text(text)
    for arguments in (("--train", bad, "--test", good), ("--train", good, "--test", bad)):
        status, _, said = run(*arguments, "--drop-current")
        assert status == 2
        assert complaint in said
    assert run("--train", good, "--test", tmp_path / "none", "--drop-current")[0] == 2


def test_predictions_are_bounded_by_whole_sessions() -> None:
    clicks, begins, targets = predictions_of([[1, 2, 0, 3], [4], [0, 5, 6]])
    assert clicks.tolist() == [1, 2, 3, 5, 6]
    assert list(zip(begins.tolist(), targets.tolist(), strict=True)) == [(0, 1), (0, 2), (3, 4)]
    few = predictions_of([[1, 2, 3]] * 100, most=50)
    assert len(few[2]) == 50
    robot = predictions_of([[1, 2] * 500], most_of_one=10)
    assert len(robot[2]) == 10


def test_items_new_to_the_earlier_sessions_are_left_out() -> None:
    held = hold_out([[1, 2], [2, 3]], [[1, 9, 2], [9, 8]], 100)
    clicks, _, targets = held.predictions
    assert clicks[targets].tolist() == [2]
    assert held.popular.tolist() == [2, 1, 3]


def test_the_search_keeps_its_bounds() -> None:
    sessions = sessions_of(400)
    held = [hold_out(sessions[:300], sessions[300:], 500)]
    designs, space = with_current(BLEND_DESIGNS, BLEND, keep_current=False)
    free = Search(held, 20, 60.0).choose(designs, space, seed=1)
    assert Search(held, 20, 60.0).choose(designs, space, seed=1).settings == free.settings
    short = Search(held, 20, 0.0).choose(designs, space, seed=1)
    assert short.tried < 10 < free.tried
    assert free.mrr >= short.mrr
    effort = efforts(held[0].predictions, held[0].index.arrays(), free.settings.limits())
    assert effort.max() <= MOST_EFFORT


def test_what_costs_too_much_is_not_chosen() -> None:
    # every item is in almost every session, so that all sessions are looked at for each
    sessions = [Random(number).sample(range(1, 25), 20) for number in range(3_000)]
    held = [hold_out(sessions[:-100], sessions[-100:], 200)]
    dear = NeighbourSettings(newest=2_000, neighbours=2_000, last_items=20)
    chosen = Search(held, 20, 5.0).choose([dear], {"idf": (0.0, 1.0)}, seed=1).settings
    assert efforts(held[0].predictions, held[0].index.arrays(), chosen.limits()).max() < MOST_EFFORT


def test_training_chooses_what_shoppers_do() -> None:
    steps: list[int] = []
    chosen, predictions = choose_settings(sessions_of(600), 1, steps.append)
    assert predictions > 100
    assert sum(steps) == chosen.tried
    assert chosen.settings.back > 1.0
    assert chosen.settings.current == 1.0
    assert chosen.mrr > 0.5
