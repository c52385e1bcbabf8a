"""`attune scenarios`: a marketer's tools. Looks at files; nothing is sent."""

import json
import sys
from pathlib import Path
from typing import Final

import click

from services.commands.lazy import LazyGroup, Target
from services.commands.output import BAD_INPUT, Report, json_option
from services.profile.scenarios import schema
from services.profile.scenarios.book import Book, Scenario
from services.profile.scenarios.holding import SHIPPED, load
from services.profile.scenarios.idle import idle
from services.profile.scenarios.problems import BookRefused

TARGETS: Final = {
    "check": Target(
        "services.profile.scenarios.main:check", "Say all that is wrong with a scenarios file."
    ),
    "schema": Target(
        "services.profile.scenarios.main:print_schema", "Print the JSON schema, for editors."
    ),
    "dry-run": Target(
        "services.profile.dry_run.main:command",
        "Replay the archived log against a draft: what would be sent, to whom.",
    ),
    "explain": Target(
        "services.profile.explain.main:command",
        "What is near firing for a customer, and what holds each scenario back.",
    ),
}

command = LazyGroup(
    "scenarios", targets=TARGETS, help="Check the scenarios file, and look at what it does."
)


@click.command()
@json_option
@click.argument(
    "file", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
def check(as_json: bool, file: Path | None) -> None:
    """Read FILE (the shipped scenarios where none is named) as the profile service would.

    Each thing that is wrong is a line on standard error with file, line and fix; exit code 2. What
    holds for no scenario, such as a budget for a tag that none has, is a warning there.
    """
    path = file or SHIPPED
    with Report("scenarios check", as_json=as_json, settings={"file": str(path)}) as report:
        book = load_or_exit(path)
        warnings = idle(book)
        for warning in warnings:
            click.echo(f"{path.name}: warning: {warning}", err=True)
        report.add(
            book_version=book.version,
            scenarios=[each.name for each in book.scenarios],
            segments=[each.name for each in book.segments],
            stages=[each.name for each in book.stages],
            warnings=warnings,
        )
        report.text = "\n".join([_summary(path, book), *map(_line, book.scenarios)])


def load_or_exit(path: Path) -> Book:
    """The book of a file. A bad one: its problems go to standard error, and exit code 2."""
    try:
        return load(path)
    except BookRefused as refused:
        for line in refused.lines:
            click.echo(line, err=True)
        sys.exit(BAD_INPUT)


@click.command("schema")
def print_schema() -> None:
    """Print the JSON schema of scenarios.yaml on standard output."""
    click.echo(json.dumps(schema.document(), indent=1, ensure_ascii=False))


def _summary(path: Path, book: Book) -> str:
    counts = f"{len(book.scenarios)} scenarios, {len(book.segments)} segments"
    return f"{path} is good: version {book.version}, {counts}, {len(book.stages)} stages"


def _line(scenario: Scenario) -> str:
    return f"  {scenario.name:<28} {scenario.purpose:<12} {', '.join(scenario.channels)}"
