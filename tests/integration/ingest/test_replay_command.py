"""`attune replay dead-letters` as a script calls it: its JSON, its exit status, its errors."""

import asyncio
import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from services.cli import main
from shared.bus import Producer, scan
from shared.headers import Headers, find
from shared.settings import Settings


@pytest.fixture
def settings(embedded_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    for entry in fields(embedded_settings):
        if entry.name != "clock":
            value = str(getattr(embedded_settings, entry.name))
            monkeypatch.setenv(f"ATTUNE_{entry.name.upper()}", value)
    return embedded_settings


async def refuse(settings: Settings, src: str, reason: str, **more: bytes) -> None:
    ours = {"src": src.encode(), "reason": reason.encode(), "attempt": b"1"} | more
    headers: Headers = tuple(ours.items())
    async with Producer.open(settings) as producer:
        topic = f"{settings.namespace}.dead-letters"
        await producer.send(topic, b"{", key=b"k", headers=headers)
        await producer.flush()


def run(*arguments: str) -> tuple[Result, dict[str, Any]]:
    result = CliRunner().invoke(main, ["replay", "dead-letters", "--json", *arguments])
    lines = result.stdout.splitlines()
    return result, json.loads(lines[-1]) if lines else {}


async def run_beside(*arguments: str) -> tuple[Result, dict[str, Any]]:
    return await asyncio.to_thread(run, *arguments)


async def test_what_a_script_reads(settings: Settings) -> None:
    first, second = (f"{settings.namespace}.clickstream/0/{number}" for number in (7, 8))
    await refuse(settings, first, "nan")
    await refuse(settings, second, "unknown_type", original_bytes=b"9999999")
    await refuse(settings, "elsewhere/0/1", "nan")
    result, tried = await run_beside("--dry-run")
    assert (result.exit_code, tried["replayed"], tried["chosen"]) == (0, 0, 1)
    result, report = await run_beside("--reason", "nan")
    assert result.exit_code == 0
    assert (report["command"], report["found"], report["replayed"]) == (
        "replay dead-letters",
        3,
        1,
    )
    assert report["skipped"] == {"other_reason": 1, "no_raw_topic": 1}
    raw = [
        record
        async for records in scan(settings, f"{settings.namespace}.clickstream")
        for record in records
    ]
    assert [(find(record.headers, "src"), find(record.headers, "attempt")) for record in raw] == [
        (first, "2")
    ]
    result, report = await run_beside()
    assert report["skipped"] == {"already_replayed": 1, "not_whole": 1, "no_raw_topic": 1}


async def test_a_repaired_event_without_a_dead_letter_fails(
    settings: Settings, tmp_path: Path
) -> None:
    file = tmp_path / "repaired.jsonl"
    file.write_text('{"src": "clickstream/9/9", "value": {}}\n')
    result, report = await run_beside("--repaired", str(file))
    assert (result.exit_code, report["failed"]) == (1, ["unmatched"])
    assert report["unmatched"] == ["clickstream/9/9"]


def test_bad_files_are_one_clear_line(settings: Settings, tmp_path: Path) -> None:
    missing = tmp_path / "missing.jsonl"
    result, _ = run("--repaired", str(missing))
    assert (result.exit_code, result.stderr.splitlines()) == (
        2,
        [f"attune: {missing}: No such file or directory"],
    )
    broken = tmp_path / "broken.jsonl"
    broken.write_text("{")
    result, _ = run("--repaired", str(broken))
    assert result.exit_code == 2
    assert result.stderr.startswith("attune: line 1: not {")
