"""`attune scenarios`: what a marketer sees; and the schema that an editor checks by."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from services.cli import main
from services.profile.scenarios.holding import SHIPPED
from services.profile.scenarios.problems import BookRefused
from services.profile.scenarios.reading import read
from services.profile.scenarios.variables import ALL
from tests.unit.profile.scenarios.test_reading import LEAST, WHOLE

BAD = LEAST.replace("cart_added", "cart_aded") + "    after: soon\n"


def run(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["scenarios", *arguments])


def test_a_good_file_is_told_in_lines_and_as_json() -> None:
    told = run("check")
    assert told.exit_code == 0
    assert told.output.splitlines()[0].endswith("28 scenarios, 3 segments, 7 stages")
    answer = json.loads(run("check", str(SHIPPED), "--json").output)
    assert answer["book_version"] == "shipped-1"
    assert "cart_abandoned" in answer["scenarios"]
    assert (answer["command"], answer["failed"]) == ("scenarios check", [])


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_each_thing_that_is_wrong_is_a_line_on_standard_error(
    tmp_path: Path, options: list[str]
) -> None:
    file = tmp_path / "spring.yaml"
    file.write_text(BAD)
    told = run("check", str(file), *options)
    assert (told.exit_code, told.stdout) == (2, "")
    lines = told.stderr.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["spring.yaml:4", "spring.yaml:7"]
    assert lines[0].endswith("there is no fact cart_aded to begin with; did you mean cart_added?")


def test_what_holds_for_no_scenario_is_a_warning(tmp_path: Path) -> None:
    file = tmp_path / "spring.yaml"
    file.write_text(
        LEAST
        + """    tags: [discount]
policy:
  budgets:
    - {messages: 1, window: 24h}
    - {messages: 1, window: 14d, tag: discount, channel: email}
    - {messages: 1, window: 14d, tag: discuont}
    - {messages: 1, window: 36h, channel: sms}
  quiet_hours: {from: "21:00", to: "08:00", channels: [push, email]}
"""
    )
    told = run("check", str(file), "--json")
    assert told.exit_code == 0
    warnings = [
        "the budget of 1 in 14 days holds nothing back: no scenario has the tag discuont",
        "the budget of 1 in 1.5 days holds nothing back: no scenario uses sms",
        "quiet hours name the channel push, which no scenario uses",
    ]
    assert json.loads(told.stdout)["warnings"] == warnings
    assert told.stderr.splitlines() == [f"spring.yaml: warning: {line}" for line in warnings]
    assert json.loads(run("check", "--json").stdout)["warnings"] == []


def test_a_file_that_is_not_there_is_one_line() -> None:
    told = run("check", "/nowhere/x.yaml")
    assert (told.exit_code, len(told.stderr.splitlines())) == (2, 1)


def test_a_folder_in_place_of_a_file_is_one_line(tmp_path: Path) -> None:
    told = run("check", str(tmp_path))
    assert (told.exit_code, len(told.stderr.splitlines())) == (2, 1)


@pytest.mark.parametrize("change", ["\n\r\n", "\ufeff"])
def test_a_file_as_windows_saves_it_is_read(tmp_path: Path, change: str) -> None:
    file = tmp_path / "spring.yaml"
    text = LEAST.replace(change[0], change[1:]) if len(change) > 1 else change + LEAST
    file.write_bytes(text.encode())
    told = json.loads(run("check", str(file), "--json").output)
    assert told["scenarios"] == ["one"]


def as_editors_read(text: str) -> Any:
    """By YAML 1.2, where `on` is a text and 08:00 no number of base 60."""
    text = re.sub(r"\bon:", '"on":', text)
    return yaml.safe_load(re.sub(r"(?<=: )(\d\d:\d\d)", r'"\1"', text))


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    document = json.loads(run("schema").output)
    Draft202012Validator.check_schema(document)
    return Draft202012Validator(document)


@pytest.mark.parametrize("text", [SHIPPED.read_text(), WHOLE, LEAST])
def test_the_schema_takes_what_is_read(schema: Draft202012Validator, text: str) -> None:
    assert [error.message for error in schema.iter_errors(as_editors_read(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        BAD,
        "version: one\n",
        LEAST.replace("[email]", "[mail]"),
        LEAST.replace("[email]", "[]"),
        LEAST.replace("marketing", "Big Sale"),
        LEAST.replace("channels", "chanels"),
        LEAST.replace("cart_added", "{timer: inactive}"),
        LEAST.replace("cart_added", "{timer: birthday, below: 0.5}"),
        LEAST.replace("cart_added", "{item_changed: [bought]}"),
        LEAST + "    payload: {placement: home, n: 101}\n",
        LEAST + "    tags: [a, a]\n",
        LEAST + "    priority: 1.5\n",
        LEAST + "    on_conflict: wait\n",
        LEAST + "policy: {budgets: [{messages: 65, window: 1d}]}\n",
        LEAST + "policy: {quiet_hours: {from: 9pm, to: '08:00'}}\n",
    ],
)
def test_what_the_schema_refuses_is_refused(schema: Draft202012Validator, text: str) -> None:
    assert not schema.is_valid(as_editors_read(text))
    with pytest.raises(BookRefused):
        read(text.encode())


def test_the_reference_names_every_variable() -> None:
    page = (Path(__file__).resolve().parents[4] / "docs" / "scenarios-reference.md").read_text()
    assert [variable.name for variable in ALL if f"| `{variable.name}` |" not in page] == []
