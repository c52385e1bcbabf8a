"""services/commands/lazy.py: imports on use, and clear lines where something is missing."""

import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from services.commands.lazy import LazyGroup, Target, load
from services.commands.output import CommandFailed


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("lazy_good", "lazy_needy"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    (tmp_path / "lazy_good.py").write_text(
        "import click\n"
        "from shared.errors import InvalidInput\n"
        "@click.command()\n"
        "def command():\n"
        "    raise InvalidInput('the file is empty')\n"
        "number = 1\n"
    )
    (tmp_path / "lazy_needy.py").write_text("import a_package_nobody_has\n")
    return tmp_path


def group() -> LazyGroup:
    return LazyGroup("group", targets={"good": Target("lazy_good:command", "Does good.")})


def test_help_lists_summaries_without_importing(package: Path) -> None:
    result = CliRunner().invoke(group(), ["--help"])
    assert result.exit_code == 0
    assert "good  Does good." in result.output
    assert "lazy_good" not in sys.modules


def test_an_attune_error_becomes_a_line_and_its_code(package: Path) -> None:
    result = CliRunner().invoke(group(), ["good"])
    assert result.exit_code == 2
    assert result.stderr == "attune: the file is empty\n"


def test_an_unknown_command_is_a_usage_error(package: Path) -> None:
    result = CliRunner().invoke(group(), ["bad"])
    assert result.exit_code == 2
    assert "No such command 'bad'" in result.stderr


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("lazy_absent.main:command", "is not part of this installation: lazy_absent is missing"),
        ("lazy_needy:command", "needs the package a_package_nobody_has, which is not installed"),
        ("lazy_good:number", "lazy_good:number is no command"),
        ("lazy_good:absent", "lazy_good:absent is no command"),
    ],
)
def test_what_is_missing_is_named(package: Path, address: str, message: str) -> None:
    with pytest.raises(CommandFailed, match=message):
        load("example", Target(address, ""))


def test_a_good_command_loads(package: Path) -> None:
    assert isinstance(load("good", Target("lazy_good:command", "")), click.Command)
