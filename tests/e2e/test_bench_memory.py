"""`attune bench memory` in small: what a customer costs stays within its bounds."""

import json
import shutil

import pytest

from tests.e2e.running import running

pytestmark = [
    # The bundled store has another allocator, and thus other figures.
    pytest.mark.skipif(shutil.which("redis-server") is None, reason="needs redis-server"),
    pytest.mark.timeout(180),
]


def test_a_customer_takes_what_was_promised() -> None:
    # With fewer the store's own tables count as much as what is kept of a customer.
    with running("bench", "memory", "--customers", "2000", "--json") as run:
        code, output, errors = run.finish(150)
        report = json.loads(output.splitlines()[-1])
    assert (code, report["failed"]) == (0, []), errors
    assert report["customers"] == 2_000
    assert 1_000 < report["bytes_per_customer"] <= 2_048
    # With the shipped scenarios on, moments wait for every one of them.
    assert report["moments_mean"] > 2
    assert report["bytes_per_customer"] + 100 < report["bytes_with_moments"]
    assert 100 < report["view_bytes_mean"] <= 700
    assert report["view_bytes_mean"] <= report["view_bytes_max"]
    assert report["machine"]["store"].startswith("redis-server")
