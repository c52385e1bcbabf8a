"""From an export to versions in the model store, and which of them is in force: as an operator."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.retail import retail_csv

INVOICES = 700
RECALL = "missing item recall@10"
Ran = tuple[dict[str, Any], str]


@pytest.fixture
def attune(tmp_path: Path) -> Callable[..., Ran]:
    """Runs a command with --json, wants that exit code, gives the report and what was said."""
    variables = {**os.environ, "ATTUNE_MODELS": str(tmp_path / "models"), "TQDM_DISABLE": "1"}

    def run(*arguments: str, code: int = 0) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "services.cli", *arguments, "--json"],
            env=variables,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, done.stderr + done.stdout
        return json.loads(done.stdout) if code == 0 else {}, done.stderr

    return run


@pytest.mark.timeout(300)
def test_versions_are_trained_compared_promoted_and_taken_back(
    attune: Callable[..., Ran], tmp_path: Path
) -> None:
    export = tmp_path / "orders.csv"
    export.write_text(retail_csv(INVOICES))
    empty, _ = attune("models", "list")
    assert (empty["models"], empty["current"]) == ([], None)

    training = ("train", "--orders", str(export), "--mapping", "uci-online-retail", "--nice", "0")
    first, said = attune(*training)
    assert (first["promoted"], first["reason"]) == (True, None)
    assert {"pairs", "similar", "vectors", "lifetime"} <= first["parts"].keys()
    assert {"sessions", "ranker"} <= first["left_out"].keys()
    assert first["metrics"][RECALL]["cases"] > 10
    assert "training similar" in said
    second, _ = attune(*training, "--no-promote", "--seed", "2")
    assert (second["promoted"], second["reason"]) == (False, "--no-promote")
    one, two = first["model"], second["model"]
    assert second["metrics"][RECALL][one]["difference"] == 0, "the same facts, the same pairs"

    listed, _ = attune("models", "list")
    assert [(row["model"], row["current"]) for row in listed["models"]] == [
        (one, True),
        (two, False),
    ]
    shown, _ = attune("models", "show", two)
    assert (shown["model"], shown["current"]) == (two, False)
    assert shown["data"]["orders"] == first["data"]["orders"] > INVOICES // 2
    compared, _ = attune("models", "compare", one, two)
    assert [found["model"] for found in compared["models"]] == [one, two]
    assert compared["only_in_one"] == {one: [], two: []}
    assert compared["differences"].keys() == {RECALL}

    promoted, _ = attune("models", "promote", two)
    assert (promoted["current"], promoted["before"]) == (two, one)
    back, _ = attune("models", "rollback")
    assert (back["current"], back["before"]) == (one, two)
    for said in (
        attune("models", "rollback", code=2)[1],
        attune("models", "promote", "unknown", code=2)[1],
        attune("models", "show", "../models", code=2)[1],
        attune(*training[:3], code=2)[1],
    ):
        assert len(said.strip().splitlines()) == 1, said

    pairs = tmp_path / "models" / two / "pairs.npz"
    pairs.write_bytes(pairs.read_bytes()[:-1])
    _, said = attune("models", "promote", two, code=2)
    assert f"{two} is damaged" in said
    (tmp_path / "models" / two / "metadata.json").write_text("{")
    listed, _ = attune("models", "list")
    assert listed["current"] == one
    assert "damaged" in listed["models"][1]["unreadable"]
