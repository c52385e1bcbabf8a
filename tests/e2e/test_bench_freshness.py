"""`attune bench freshness` in small: it measures, says what it measured on, and leaves nothing."""

import json
import sys

import pytest

from tests.e2e.running import running

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc"),
    pytest.mark.timeout(180),
]


def test_it_prints_what_scripts_rely_on() -> None:
    with running("bench", "freshness", "--rate", "60", "--seconds", "2", "--json") as run:
        code, output, errors = run.finish(150)
        report = json.loads(output.splitlines()[-1])
        assert run.gone(5.0), run.processes()
    # How fast this machine is at the moment is no matter of this test.
    assert set(report["failed"]) <= {"p99", "rate"}, errors
    assert code == (1 if report["failed"] else 0)
    assert report["rate"] == 60
    assert 0 < report["p50"] <= report["p99"]
    assert len(report["runs"]) == 3
    assert report["n"] == sum(run["n"] for run in report["runs"]) > 30
    assert all(run["errors"] == 0 and run["late"] == 0 for run in report["runs"])
    assert report["machine"]["broker"]
    assert report["machine"]["store"]
    assert {"collector", "ingest", "profile", "recommend"} <= set(report["runs"][0]["cores"])


@pytest.mark.parametrize("arguments", [["--rate", "0"], ["--runs", "1"], ["--seconds", "none"]])
def test_bad_arguments_start_nothing(arguments: list[str]) -> None:
    with running("bench", "freshness", *arguments) as run:
        code, _, errors = run.finish(30)
    assert code == 2
    assert arguments[0] in errors
