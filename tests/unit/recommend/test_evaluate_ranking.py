"""`attune evaluate ranking` on a small file whose best answer is known, and on bad input."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from services.recommend.evaluation.main import command
from services.recommend.evaluation.ranking import parted
from services.recommend.evaluation.ranking_events import read_events, read_items
from services.recommend.evaluation.ranking_replay import ORDER, replay
from services.recommend.ranker.boosting import lightgbm
from shared.errors import InvalidInput

ITEMS = 40
SHOWN = 8
DATA = Path(__file__).parents[4] / "shared" / "data" / "ranklens"


def line(**values: Any) -> str:
    return json.dumps(values)


def item(name: str, at: int, **fields: Any) -> str:
    listed = [{"name": key, "value": value} for key, value in fields.items()]
    return line(event="item", id=f"e{name}", item=name, timestamp=str(at), fields=listed)


def shown(name: str, at: int, user: str, *items: str) -> str:
    listed = [{"id": item, "relevancy": 0.0} for item in items]
    return line(event="ranking", id=name, timestamp=str(at), user=user, items=listed)


def click(ranking: str, at: int, user: str, item: str) -> str:
    return line(
        event="interaction", id=f"c{at}", item=item, timestamp=str(at), ranking=ranking, user=user
    )


def shop_file(path: Path, rankings: int = 600) -> Path:
    """Each shopper likes one colour and clicks it, whatever else is shown."""
    random = np.random.default_rng(1)
    lines = [
        item(f"i{at}", 0, colour=["red", "blue", "green", "grey"][at % 4], size=at % 7)
        for at in range(ITEMS)
    ]
    for at in range(rankings):
        user, now = at % 30, 1_000 + at * 1_000
        items = random.permutation(ITEMS)[:SHOWN].tolist()
        lines.append(shown(f"r{at}", now, f"u{user}", *(f"i{one}" for one in items)))
        liked = [one for one in items if one % 4 == user % 4]
        lines += [click(f"r{at}", now + 5, f"u{user}", f"i{one}") for one in liked]
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def run(*arguments: str) -> Any:
    return CliRunner().invoke(command, ["ranking", *arguments, "--json"])


def test_taste_is_learned_where_click_rates_say_nothing(tmp_path: Path) -> None:
    if lightgbm() is None:
        pytest.skip("LightGBM or the system's OpenMP is missing")
    outcome = run("--events", str(shop_file(tmp_path / "events.gz")))
    assert outcome.exit_code == 0, outcome.output
    report = json.loads(outcome.stdout.splitlines()[-1])
    found = {row["method"]: row for row in report["results"]}
    assert report["shipped"] == "lambdamart"
    assert found["lambdamart"]["ndcg10"] > 0.97
    assert found["click-rate"]["ndcg10"] < 0.75
    assert abs(found["random"]["ndcg10"] - found["order-shown"]["ndcg10"]) < 0.1
    low, high = found["lambdamart"]["ndcg10_ci95"]
    assert low <= found["lambdamart"]["ndcg10"] <= high
    assert set(found["lambdamart"]["difference"]) == {"against", "estimate", "ci95"}
    clicked = report["rankings"]["learned_from"] + report["rankings"]["test"]
    assert report["rankings"]["learned_from"] == int(clicked * 0.8)
    assert {row["n"] for row in report["results"]} == {report["rankings"]["test"]}


def two(path: Path) -> Path:
    path.write_text(
        "\n".join(
            [
                item("a", 0, genre=["x", "y"], price=2.5),
                item("b", 0, genre="x"),
                click("r1", 20, "u", "b"),
                shown("r1", 10, "u", "a", "b"),
                shown("r2", 30, "u", "b", "c"),
                click("r2", 30, "u", "c"),
                click("r2", 31, "u", "c"),
                line(event="user", id="x", timestamp="5"),
            ]
        )
    )
    return path


def test_nothing_of_a_ranking_is_in_its_own_features(tmp_path: Path) -> None:
    rankings, items = replay(read_events(two(tmp_path / "events")), {})
    assert items == [["a", "b"], ["b", "c"]]
    assert rankings.clicked.tolist() == [0, 1, 0, 1]
    names = list(rankings.names)
    assert np.isnan(rankings.features[:2, names.index("click_rate")]).all()
    assert rankings.features[:2, names.index("seen")].tolist() == [0.0, 0.0]
    assert rankings.features[2:, names.index("seen")].tolist() == [1.0, 0.0]
    assert rankings.features[2:, names.index("showings")].tolist() == [1.0, 0.0]
    assert rankings.features[:, names.index(ORDER)].tolist() == [1.0, 2.0, 1.0, 2.0]
    assert rankings.features[2, names.index("overlap:genre")] == 1.0
    assert rankings.features[0, names.index("item_price")] == 250.0


def test_a_second_click_on_the_same_counts_once(tmp_path: Path) -> None:
    events = read_events(two(tmp_path / "events"))
    later = shown("r3", 40, "v", "c", "b")
    (tmp_path / "more").write_text((tmp_path / "events").read_text() + "\n" + later)
    rankings, _ = replay(read_events(tmp_path / "more"), {})
    assert len(events) == 7
    names = list(rankings.names)
    rate = rankings.features[-2:, names.index("click_rate")]
    average = 2 / 4
    assert rate.tolist() == pytest.approx([(1 + 10 * average) / 11, (1 + 10 * average) / 12])


def test_further_fields_of_items(tmp_path: Path) -> None:
    listed = [{"id": 3, "tags": ["p"], "maker": {"name": "m"}, "cast": [{"name": "q"}]}]
    (tmp_path / "list").write_text(json.dumps(listed))
    assert read_items(tmp_path / "list") == {"3": {"tags": ["p"], "maker": "m", "cast": ["q"]}}
    (tmp_path / "lines").write_text('{"item": "a", "size": 3}\n{"item": "b"}\n')
    extra = read_items(tmp_path / "lines")
    assert extra == {"a": {"size": 3}, "b": {}}
    rankings, _ = replay(read_events(two(tmp_path / "events")), extra)
    assert rankings.features[0, rankings.names.index("number:size")] == 3.0


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ("{", "line 1"),
        ('{"event": "ranking", "id": "r", "timestamp": 1}', "no 'items'"),
        ('{"event": "ranking", "id": "r", "timestamp": "x", "items": [{"id": "a"}]}', "line 1"),
        ('{"event": "ranking", "id": "r", "timestamp": 1, "items": []}', "without items"),
        ('{"event": "item", "item": "", "timestamp": 1}', "without an id"),
        (shown("r", 1, "u", "a", "b"), "0 rankings with a click"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "events").write_text(content)
    outcome = run("--events", str(tmp_path / "events"))
    assert outcome.exit_code == 2
    assert said in str(outcome.stderr) + str(outcome.exception)


def test_files_that_are_not_there(tmp_path: Path) -> None:
    assert run("--events", str(tmp_path / "none")).exit_code == 2
    (tmp_path / "items").write_text("[]")
    with pytest.raises(InvalidInput, match="no item"):
        read_items(tmp_path / "items")


@pytest.mark.data
def test_the_split_of_ranklens() -> None:
    if not DATA.exists():
        pytest.skip("the ranklens data set is not beside the checkout")
    rankings, _ = replay(read_events(DATA / "events.jsonl.gz"), {})
    rest, test = parted(rankings)
    assert (len(rankings), len(rest), len(test)) == (9_800, 7_018, 1_755)
