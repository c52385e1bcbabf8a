"""`attune topics`: show the registry's topics beside the broker's, create those that are missing.

Acts on the configured broker and namespace. A topic that exists is never changed: what to do about
another partition count or retention is for an operator to decide.
"""

import asyncio
from typing import Any

import click

from services.commands.output import Report, json_option
from shared.bus_admin import (
    TopicOnBroker,
    describe_topics,
    differences,
    ensure_topics,
    wanted_partitions,
)
from shared.settings import Settings
from shared.topics import ALL, DAY_MS, Topic

WAIT_S = 5.0


@click.group()
def command() -> None:
    """List and create the topics that the services write and read."""


@command.command("list")
@json_option
def list_topics(as_json: bool) -> None:
    """List the topics as they should be, and how the broker's differ."""
    settings = Settings.from_environment()
    with _report("topics list", settings, as_json) as report:
        found = asyncio.run(describe_topics(settings, wait_s=WAIT_S))
        rows = [_row(topic, found.get(topic.named(settings.namespace)), settings) for topic in ALL]
        report.add(topics=rows)
        report.text = _table(rows)


@command.command()
@json_option
def create(as_json: bool) -> None:
    """Create the missing topics; report, and leave alone, those that differ."""
    settings = Settings.from_environment()
    with _report("topics create", settings, as_json) as report:
        done = asyncio.run(ensure_topics(settings, wait_s=WAIT_S))
        report.add(created=done.created, differences=done.differences)
        lines = [f"created {name}" for name in done.created] or ["nothing to create"]
        lines += [f"{name}: {'; '.join(how)}" for name, how in done.differences.items()]
        report.text = "\n".join(lines)


def _report(name: str, settings: Settings, as_json: bool) -> Report:
    shown = {
        "bootstrap": settings.bootstrap,
        "namespace": settings.namespace,
        "partitions": settings.partitions,
        "replication": settings.replication,
    }
    return Report(name, as_json=as_json, settings=shown)


def _row(topic: Topic, found: TopicOnBroker | None, settings: Settings) -> dict[str, Any]:
    return {
        "name": topic.named(settings.namespace),
        "carries": topic.carries,
        "key": topic.key,
        "partitions": wanted_partitions(topic, settings),
        "retention_ms": topic.retention_ms,
        "cleanup": topic.cleanup,
        "exists": found is not None,
        "differences": [] if found is None else differences(topic, found, settings),
    }


def _table(rows: list[dict[str, Any]]) -> str:
    width = max(len(row["name"]) for row in rows)
    head = f"{'topic':{width}}  partitions  retention  cleanup  on the broker"
    lines = [
        f"{row['name']:{width}}  {row['partitions']:>10}  {_days(row['retention_ms']):>9}  "
        f"{row['cleanup']:7}  {_state(row)}"
        for row in rows
    ]
    return "\n".join([head, *lines])


def _days(retention_ms: int) -> str:
    return "kept" if retention_ms < 0 else f"{retention_ms // DAY_MS} days"


def _state(row: dict[str, Any]) -> str:
    if not row["exists"]:
        return "missing"
    return "; ".join(row["differences"]) or "as wanted"
