"""services/commands/output.py: the JSON envelope, exit codes, and errors as one line."""

import json
import platform

import click
import pytest
from click.testing import CliRunner, Result

import shared
from services.commands.output import CommandFailed, Report, commit, json_option
from shared.errors import InvalidInput, LogUnavailable


@click.command()
@json_option
@click.option("--fail", is_flag=True)
@click.option("--error", type=click.Choice(["input", "log"]))
def example(as_json: bool, fail: bool, error: str | None) -> None:
    with Report("example", as_json=as_json, seed=7, settings={"limit": 3}) as report:
        report.say("working")
        report.machine(broker="embedded", store="valkey-server 9.1")
        if error == "input":
            raise InvalidInput("no such column:\n  price")
        if error == "log":
            raise LogUnavailable("the log at 127.0.0.1:1 does not answer")
        report.add(events=1234, share={"fold": 0.5}, seen=[])
        report.check("balanced", not fail)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(example, list(arguments))


def test_json_is_the_only_line_on_standard_output() -> None:
    result = run("--json")
    assert result.exit_code == 0
    assert result.stderr == "working\n"
    assert result.stdout.count("\n") == 1
    report = json.loads(result.stdout)
    assert report["command"] == "example"
    assert report["version"] == shared.__version__
    assert report["commit"] == commit()
    assert report["seed"] == 7
    assert report["settings"] == {"limit": 3}
    assert report["duration_s"] >= 0
    assert report["machine"]["cores"] >= 1
    assert report["machine"]["python"] == platform.python_version()
    assert report["machine"]["broker"] == "embedded"
    assert report["machine"]["store"] == "valkey-server 9.1"
    assert (report["events"], report["failed"]) == (1234, [])


def test_a_failed_bound_exits_1_and_the_json_still_comes() -> None:
    result = run("--json", "--fail")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["failed"] == ["balanced"]
    assert "failed: balanced" in result.stderr


def test_why_a_bound_failed_is_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report("example")
    report.check("balanced", False)
    report.check("p99", False, "120 ms, must be below 100 ms")
    report.check("lift", True, "never told")
    with pytest.raises(click.exceptions.Exit), report:
        pass
    assert capsys.readouterr().err.splitlines() == [
        "attune: failed: balanced, p99",
        "  p99: 120 ms, must be below 100 ms",
    ]


def test_bad_input_is_one_line_and_exit_2() -> None:
    result = run("--json", "--error", "input")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines()[1:] == ["attune: no such column: price"]


def test_an_unavailable_log_exits_1_with_json_and_one_line() -> None:
    result = run("--json", "--error", "log")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["failed"] == ["log_unavailable"]
    assert result.stderr.endswith("attune: the log at 127.0.0.1:1 does not answer\n")


def test_people_read_lines() -> None:
    result = run()
    assert result.stdout.splitlines() == [
        "working",
        "events: 1,234",
        "share:",
        "  fold: 0.5",
        "seen: none",
    ]


def test_a_command_may_bring_its_own_text() -> None:
    @click.command()
    def told() -> None:
        with Report("told") as report:
            report.add(events=1)
            report.text = "one event"

    assert CliRunner().invoke(told).stdout == "one event\n"


def test_results_never_replace_the_envelope() -> None:
    report = Report("example")
    report.add(command="other")
    assert report.envelope()["command"] == "example"


def test_an_unexpected_error_is_not_hidden() -> None:
    with pytest.raises(KeyError, match="bug"), Report("example"):
        raise KeyError("bug")


def test_an_error_without_a_message_tells_its_code() -> None:
    assert CommandFailed.of(LogUnavailable()).message == "log_unavailable"
