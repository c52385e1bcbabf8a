"""`attune bench ingest` in small: it measures, and says where the time goes."""

import json
import sys

import pytest

from tests.e2e.running import running

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks processes up in /proc"),
    pytest.mark.timeout(180),
]
STAGES = {"decode", "load", "fold", "store", "publish", "commit", "other"}


@pytest.mark.parametrize("scenarios", ["shipped", "none"])
def test_it_prints_what_scripts_rely_on(scenarios: str) -> None:
    asked = ["--events", "10000", "--profiles", "2", "--json"]
    # The shipped ones are what it measures unless it is told otherwise.
    asked += ["--scenarios", scenarios] if scenarios != "shipped" else []
    with running("bench", "ingest", *asked) as run:
        code, output, errors = run.finish(150)
        report = json.loads(output.splitlines()[-1])
        assert run.gone(5.0), run.processes()
    # How fast this machine is at the moment is no matter of this test.
    assert set(report["failed"]) <= {"events_per_cpu_second"}, errors
    assert code == (1 if report["failed"] else 0)
    assert report["events"] == 10_000
    assert report["scenarios"] == scenarios
    assert report["events_per_second"] > 0
    assert report["events_per_cpu_second"] > 0
    assert set(report["share"]) == STAGES
    assert all(0 <= share <= 1 for share in report["share"].values())
    assert {"profile-1", "profile-2", "broker", "store"} == set(report["cpu_share"])
    assert len(report["runs"]) == 3
    assert report["machine"]["broker"]
    assert report["machine"]["store"]
