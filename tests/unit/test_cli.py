"""services/cli.py: every command is listed, nothing is imported for help."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

import shared
from services.cli import TARGETS, main
from services.commands.bench.main import TARGETS as BENCH_TARGETS
from services.commands.lazy import Target, load

COMMANDS = (
    "archive ingest collector profile recommend local import replay rebuild verify train evaluate "
    "bench topics keys models scenarios"
)


def test_help_lists_every_command() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert set(TARGETS) == set(COMMANDS.split())
    for name, target in TARGETS.items():
        assert f"  {name} " in result.output
        assert target.summary.split()[0] in result.output


def test_version() -> None:
    result = CliRunner().invoke(main, ["--version"])
    assert result.output == f"attune, version {shared.__version__}\n"


def test_help_imports_no_service() -> None:
    code = (
        "import sys\n"
        "from services.cli import main\n"
        "main(['--help'], standalone_mode=False)\n"
        "heavy = {'aiokafka', 'redis', 'fastapi', 'sqlalchemy', 'numpy', 'aiohttp'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize(
    ("name", "target"),
    [*TARGETS.items(), *(("bench " + name, target) for name, target in BENCH_TARGETS.items())],
)
def test_every_command_loads_and_helps(name: str, target: Target) -> None:
    result = CliRunner().invoke(load(name, target), ["--help"])
    assert result.exit_code == 0
    assert "Usage:" in result.output
    assert "--help" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["evaluate", "next-item", "--method", "nope"], "'--method'"),
        (["evaluate", "clv", "--no-such"], "--no-such"),
        (["nothing"], "nothing"),
    ],
)
def test_wrong_arguments_are_one_line_and_exit_2(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
