"""README and CONTRIBUTING: links lead somewhere, commands and variables exist as they say."""

import re
import shlex
from pathlib import Path

import click
import pytest
import yaml

from services.cli import TARGETS
from services.commands.bench.main import TARGETS as BENCH_TARGETS
from services.commands.contracts.settings_page import CLASSES
from services.commands.lazy import LazyGroup, load
from shared.settings import FromEnvironment

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\(([^)#]+)[^)]*\)")


def code_of(page: Path) -> list[str]:
    """Inline code and lines of fenced blocks."""
    text = page.read_text()
    fenced = re.findall(r"```(?:sh|text)\n(.*?)```", text, re.DOTALL)
    outside = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    return [*re.findall(r"`([^`]+)`", outside), *"\n".join(fenced).splitlines()]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    missing = [
        target
        for target in LINK.findall(page.read_text())
        if not target.startswith("http") and not (page.parent / target).exists()
    ]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_parse(page: Path) -> None:
    for code in code_of(page):
        for line in re.findall(r"^(?:\.venv/bin/)?attune ([a-z].*)$", code):
            parse(shlex.split(line, comments=True))


def parse(words: list[str]) -> None:
    """Walks down the groups and parses the options; raises UsageError where something is off."""
    name, *rest = words
    command: click.Command = load(name, TARGETS[name])
    while isinstance(command, click.Group) and rest:
        with click.Context(command, info_name=name) as context:
            found = command.get_command(context, rest[0])
        assert found is not None, f"attune {' '.join(words)}"
        command, rest = found, rest[1:]
    if rest:
        command.make_context(name, rest)


def test_a_wrong_command_would_be_noticed() -> None:
    with pytest.raises(click.UsageError, match="No such option"):
        parse(["verify", "--nonsense"])


def test_the_bench_group_is_read_as_a_group() -> None:
    assert isinstance(load("bench", TARGETS["bench"]), LazyGroup)
    assert set(BENCH_TARGETS) == {"ingest", "recommend", "freshness", "memory", "triggers"}


def known() -> set[str]:
    return {
        kind.prefix + name.upper()
        for _, kind in CLASSES
        for name in kind.__dataclass_fields__  # type: ignore[attr-defined]
    }


def test_every_settings_class_is_on_the_page() -> None:
    declared = {
        match
        for package in ("services", "shared")
        for path in (ROOT / package).rglob("*.py")
        for match in re.findall(r"^class (\w+)\(FromEnvironment\)", path.read_text(), re.MULTILINE)
    }
    assert {kind.__name__ for _, kind in CLASSES} == declared
    assert all(issubclass(kind, FromEnvironment) for _, kind in CLASSES)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_variables_exist(page: Path) -> None:
    named = set(re.findall(r"`(ATTUNE_[A-Z_]+)`", page.read_text()))
    assert named - {"ATTUNE_KAFKA_LIB"} <= known() | {"ATTUNE_"}


def test_the_settings_in_the_readme_have_the_defaults_it_says() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    rows = re.findall(r"^\| `ATTUNE_.*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert rows
    assert [row for row in rows if row not in page] == []


def test_the_ports_in_the_readme_are_those_of_compose() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    rows = re.findall(r"^\| (\w+) \| (\d{4}) \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(rows) == 5
    for name, port in rows:
        assert f":{port}/health/ready" in services[name]["healthcheck"]["test"][-1]


def test_make_targets_exist() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for code in code_of(page):
            for target in re.findall(r"^make ([a-z-]+)", code):
                assert target in targets, f"{page.name}: make {target}"
