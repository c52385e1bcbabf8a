"""`attune models`: what is in the model store, what is in force, and how to change that."""

from typing import Any

import click
import msgspec

from services.commands.output import Report, json_option
from shared.clock import real_now_ms
from shared.errors import InvalidInput
from shared.models.metadata import Metadata
from shared.models.store import ModelStore
from shared.settings import Settings


@click.group()
def command() -> None:
    """List, compare, promote and roll back model versions (ATTUNE_MODELS)."""


def _opened() -> tuple[ModelStore, dict[str, Any]]:
    settings = Settings.from_environment()
    return ModelStore.open(settings.models), {"models": settings.models}


@command.command("list")
@json_option
def list_versions(as_json: bool) -> None:
    """All versions, the newest last, and which one is in force."""
    store, shown = _opened()
    with Report("models list", as_json=as_json, settings=shown) as report:
        promotions = {one.version: one.at for one in store.promotions()}
        current = store.current()
        rows = [_row(store, version, promotions, current) for version in store.versions()]
        report.add(models=rows, current=current)
        report.text = _table(rows)


def _row(
    store: ModelStore, version: str, promotions: dict[str, int], current: str | None
) -> dict[str, Any]:
    row: dict[str, Any] = {"model": version, "current": version == current}
    row["promoted_at"] = promotions.get(version)
    try:
        found = store.metadata(version)
    except InvalidInput as error:
        return {**row, "unreadable": str(error)}
    return {
        **row,
        "name": found.name,
        "trained_at": found.trained_at,
        "parts": list(found.parts),
        "bytes": sum(part.file.bytes for part in found.parts.values()),
        "metrics": {name: values.get("value") for name, values in found.metrics.items()},
    }


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [
        f"{'*' if row['current'] else ' '} {row['model']}  "
        + (row.get("unreadable") or f"{row['name']}: {', '.join(row['parts'])}")
        + "".join(f"; {name} {value}" for name, value in row.get("metrics", {}).items())
        for row in rows
    ]
    return "\n".join(lines) or "no models yet: attune train"


@command.command()
@click.argument("version")
@json_option
def show(version: str, as_json: bool) -> None:
    """All that a version says of itself."""
    store, shown = _opened()
    with Report("models show", as_json=as_json, settings=shown) as report:
        found = store.metadata(version)
        report.add(current=store.current() == version, **_described(found))


def _described(found: Metadata) -> dict[str, Any]:
    described: dict[str, Any] = msgspec.to_builtins(found)
    # `version` in a report is Attune's own
    return {"model": described.pop("version"), **described}


@command.command()
@click.argument("version")
@click.argument("other")
@json_option
def compare(version: str, other: str, as_json: bool) -> None:
    """Two versions side by side: data, settings, figures, and how the figures differ.

    Each was measured on the newest part of its own data: figures on the same data are those that
    `attune train` gives of a new version and the one in force.
    """
    store, shown = _opened()
    with Report("models compare", as_json=as_json, settings=shown) as report:
        one, two = store.metadata(version), store.metadata(other)
        names = [name for name in one.metrics if name in two.metrics]
        report.add(
            models=[_described(one), _described(two)],
            differences={
                name: round(one.metrics[name]["value"] - two.metrics[name]["value"], 5)
                for name in names
            },
            only_in_one={
                one.version: sorted(one.parts.keys() - two.parts.keys()),
                two.version: sorted(two.parts.keys() - one.parts.keys()),
            },
        )


@command.command()
@click.argument("version")
@json_option
def promote(version: str, as_json: bool) -> None:
    """Put a version in force. One that is unknown or damaged is refused."""
    store, shown = _opened()
    with Report("models promote", as_json=as_json, settings=shown) as report:
        before = store.current()
        store.promote(version, real_now_ms())
        report.add(current=version, before=before)


@command.command()
@json_option
def rollback(as_json: bool) -> None:
    """Put the version in force again that was before the current one."""
    store, shown = _opened()
    with Report("models rollback", as_json=as_json, settings=shown) as report:
        before = store.current()
        report.add(current=store.rollback(), before=before)
