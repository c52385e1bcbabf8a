"""`attune local` as a newcomer runs it: the report, the ways it ends, and what is left behind."""

import json
import os
import signal
import socket
import sys
from pathlib import Path

import httpx
import pytest

from tests.e2e.running import running
from tests.fixtures.servers import SCENARIOS

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc"),
    pytest.mark.timeout(180),
]

OPEN = "the shop opens"


def test_a_run_reports_what_scripts_rely_on_and_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    with running("local", "--seconds", "15", "--json", "--report", str(file)) as run:
        code, output, errors = run.finish()
        assert code == 0, errors
        report = json.loads(output.splitlines()[-1])
        assert run.gone(), run.processes()
    assert json.loads(file.read_text())["events"] == report["events"]
    assert {"command", "version", "commit", "seed", "settings", "duration_s"} <= set(report)
    assert {"cores", "python", "broker", "store"} <= set(report["machine"])
    events = report["events"]
    assert events["received"] > 1_000
    assert events["pending"] == 0
    assert events["deduplicated"] > 0
    assert events["dead_lettered"] > 0
    assert events["received"] == (
        events["applied"] + events["deduplicated"] + events["dead_lettered"]
    )
    assert report["balanced"] is True
    assert report["verify"]["equal"] == report["verify"]["customers"] > 100
    assert report["events_per_second"] > 50
    for name in ("freshness_ms", "recommend_ms"):
        assert 0 < report[name]["p50"] <= report[name]["p99"]
        assert report[name]["n"] > 50
    conversion = report["conversion"]
    assert {"shown", "converted"} == set(conversion["personalised"]) == set(conversion["random"])
    assert conversion["random"]["shown"] > 0
    assert len(conversion["ci95"]) == 2
    assert {"collector", "recommend", "kafka", "redis"} <= set(report["endpoints"])
    assert all(example["offers"] and example["profile"] for example in report["examples"])
    assert report["simulator"]["errors"] == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_stops_everything(number: signal.Signals) -> None:
    with running("local", "--seconds", "600", "--json") as run:
        run.wait_for(OPEN)
        assert len(run.processes()) > 6
        run.signal(number)
        code, output, errors = run.finish(30)
        assert code == 130, errors
        assert output == ""
        assert "interrupted; all is stopped" in errors
        assert "Traceback" not in errors
        assert run.gone(1.0), run.processes()


def test_nothing_survives_a_parent_that_is_killed() -> None:
    with running("local", "--seconds", "600", "--json") as run:
        run.wait_for(OPEN)
        run.signal(signal.SIGKILL)
        run.process.wait(10)
        assert run.gone(), run.processes()


def test_a_service_that_dies_is_named_with_the_end_of_its_log() -> None:
    with running("local", "--seconds", "600", "--json") as run:
        run.wait_for(OPEN)
        victim = next(
            pid
            for pid, command in run.processes().items()
            if command.rstrip().endswith("services.cli ingest") and "guard" not in command
        )
        os.kill(victim, signal.SIGKILL)
        code, _, errors = run.finish(30)
        assert code == 1
        assert "ingest has ended" in errors.splitlines()[-1]
        assert "Traceback" not in errors
        assert run.gone(1.0), run.processes()


def test_a_port_in_use_is_told_in_one_line() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with running("local", "--json", "--collector-port", str(port)) as run:
            code, _, errors = run.finish(60)
            assert code == 2
            last = errors.splitlines()[-1]
            assert f"cannot listen on 127.0.0.1:{port}" in last
            assert "collector" in last
            assert run.gone(1.0), run.processes()


def test_keep_stays_up_after_the_report(tmp_path: Path) -> None:
    file, scenarios = tmp_path / "report.json", tmp_path / "mine.yaml"
    scenarios.write_text(SCENARIOS.read_text().replace("version: test-1", "version: mine-1"))
    arguments = ("--seconds", "3", "--world", "null", "--keep", "--json", "--report", str(file))
    with running("local", *arguments, "--scenarios", str(scenarios)) as run:
        said = run.wait_for("stays up until", 90)
        endpoints = json.loads(file.read_text())["endpoints"]
        for name in ("collector", "recommend", "ingest", "profile"):
            assert httpx.get(endpoints[name] + "/health/ready", timeout=5).status_code == 200
        assert f"profile {endpoints['profile']}, ingest {endpoints['ingest']}" in said
        assert f"export ATTUNE_SCENARIOS={scenarios}\n" in said
        metrics = httpx.get(endpoints["profile"] + "/metrics", timeout=5).text
        assert 'attune_profile_scenarios_info{version="mine-1"} 1.0' in metrics
        run.signal(signal.SIGINT)
        code, output, errors = run.finish(30)
        assert code == 0, errors
        assert json.loads(output.splitlines()[-1])["balanced"] is True
        assert run.gone(1.0), run.processes()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--world", "flat"], "flat"),
        (["--seconds", "0"], "seconds"),
        (["--report", "/nowhere/at/all/report.json"], "there is no folder"),
    ],
)
def test_bad_arguments_start_nothing(arguments: list[str], message: str) -> None:
    with running("local", *arguments) as run:
        code, _, errors = run.finish(30)
        assert code == 2
        assert message in errors
        assert run.gone(1.0)
