"""`attune scenarios dry-run` as a command, on an archive alone: what it prints and refuses."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from services.cli import main
from shared import events as facts
from shared.archive_rows import ArchivedRecord
from shared.archive_table import ArchiveTable
from shared.settings import Settings
from shared.topics import EVENTS

HOUR = 3_600_000
DAY = 24 * HOUR
NOW = 1_760_000_000_000
DRAFT = """
version: draft
zone: UTC
policy:
  budgets:
    - {messages: 1, window: 24h}
  purposes:
    marketing: {basis: consent}
scenarios:
  - name: cart_abandoned
    on: cart_added
    after: 1h
    recheck: profile.cart_items > 0
    purpose: marketing
    channels: [email]
  - name: browse_abandoned
    on: item_viewed
    after: 4h
    purpose: marketing
    channels: [push]
"""


def cart(customer: str, at: int) -> facts.Fact:
    return facts.CartAdded(
        event_id=f"{customer}-{at}", customer=customer, item="lamp", occurred_at=at, received_at=at
    )


def archive(folder: Path, partitions: Sequence[Sequence[facts.Fact]]) -> None:
    settings = Settings(archive=str(folder))
    table = ArchiveTable.open(settings, EVENTS, incarnation="i", partitions=len(partitions))
    for partition, sequence in enumerate(partitions):
        table.append(
            [
                ArchivedRecord(
                    EVENTS.name,
                    partition,
                    offset,
                    fact.received_at,
                    facts.identity_key(fact).encode(),
                    facts.encode(fact),
                    (),
                )
                for offset, fact in enumerate(sequence)
            ]
        )


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs the command where no broker answers, on an archive of two carts a day for ten days."""
    monkeypatch.setenv("ATTUNE_ARCHIVE", str(tmp_path / "archive"))
    monkeypatch.setenv("ATTUNE_BOOTSTRAP", "127.0.0.1:1")
    monkeypatch.setenv("ATTUNE_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)
    carts = [[cart(f"{name}{day}", NOW + day * DAY) for day in range(10)] for name in "ab"]
    archive(tmp_path / "archive", carts)
    (tmp_path / "draft.yaml").write_text(DRAFT)

    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["scenarios", "dry-run", *arguments])

    return invoke


def report(result: Result) -> dict[str, Any]:
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def test_the_report_counts_what_the_archive_holds(run: Any) -> None:
    found = report(run("--scenario", "draft.yaml", "--days", "5", "--json"))

    cart_abandoned, browse = found["scenarios"]
    # Two carts on each of the last six days, of which the newest are due after the newest fact.
    assert (cart_abandoned["moments"], cart_abandoned["sent"]) == (10, 10)
    assert cart_abandoned["moments_per_day"] == 2.0
    assert (browse["name"], browse["moments"]) == ("browse_abandoned", 0)
    assert (found["events"], found["customers"], found["source"]) == (20, 20, "archive")
    assert found["waiting_at_end"] == 2
    assert found["fatigue"]["after"]["sent"] == 10
    assert found["fatigue"]["before"]["sent"] == 0
    assert any("no catalogue" in line for line in found["unknown"])
    assert found["events_per_second"] > 0


def test_the_same_archive_gives_the_same_report(run: Any) -> None:
    first, second = (report(run("--scenario", "draft.yaml", "--json")) for _ in range(2))

    for key in ("scenarios", "overlap", "fatigue", "unknown", "window", "book", "customers"):
        assert first[key] == second[key], key


def test_one_scenario_of_the_draft_is_tried_among_the_running_ones(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = tmp_path / "running.yaml"
    running.write_text(DRAFT.replace("version: draft", "version: live").replace("1h", "2h"))
    monkeypatch.setenv("ATTUNE_SCENARIOS", str(running))

    found = report(run("--scenario", "draft.yaml", "--only", "browse_abandoned", "--json"))

    assert [(one["name"], one["draft"]) for one in found["scenarios"]] == [
        ("cart_abandoned", False),
        ("browse_abandoned", True),
    ]
    assert "live" in found["book"]


def test_people_read_tables(run: Any) -> None:
    result = run("--scenario", "draft.yaml", "--source", "archive")

    assert result.exit_code == 0
    assert "cart_abandoned *" in result.stdout
    assert "messages a customer per week" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--scenario", "nothing.yaml"], "nothing.yaml:1: cannot be read"),
        (["--scenario", "bad.yaml"], "bad.yaml:1"),
        (["--scenario", "draft.yaml", "--only", "win_back"], "no scenario 'win_back'"),
        (["--scenario", "draft.yaml", "--days", "0"], "0 is not in the range"),
    ],
)
def test_wrong_arguments_are_one_line(
    run: Any, tmp_path: Path, arguments: list[str], said: str
) -> None:
    (tmp_path / "bad.yaml").write_text("scenarios: {}\n")

    result = run(*arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_draft_is_refused_before_anything_is_read(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTUNE_ARCHIVE", str(tmp_path / "elsewhere"))
    (tmp_path / "bad.yaml").write_text("scenarios: {}\n")

    result = run("--scenario", "bad.yaml", "--source", "archive")

    assert result.exit_code == 2
    assert "bad.yaml:1" in result.stderr


def test_an_archive_that_is_not_there_is_named(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATTUNE_ARCHIVE", str(tmp_path / "elsewhere"))

    result = run("--scenario", "draft.yaml", "--source", "archive")

    assert result.exit_code == 2
    assert "elsewhere" in result.stderr
