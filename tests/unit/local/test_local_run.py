"""Before and around a run of `attune local`: ports, signals, and how commands find it."""

import os
import shlex
import signal
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.commands.output import CommandFailed
from services.local.main import INTERRUPTED, OPENING, SPEED, _interruptible, command
from services.local.ports import free_port
from services.local.staying import exports
from services.local.system import Ports, private_settings
from shared.clock import Clock
from shared.errors import InvalidInput
from shared.settings import Settings


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InvalidInput, match=f"--recommend-port: cannot listen on .*:{port}: "):
            Ports(recommend=port).check()


def test_two_services_cannot_share_a_port() -> None:
    with pytest.raises(InvalidInput, match="they must differ"):
        Ports(8081, 8081).check()


def test_free_ports_and_none_are_fine() -> None:
    Ports().check()
    Ports(collector=free_port()).check()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_in_the_background_of_a_script(number: signal.Signals) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(CommandFailed) as caught, _interruptible():
            os.kill(os.getpid(), number)
        assert caught.value.exit_code == INTERRUPTED
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("scenarios", ["", "/a folder/mine.yaml"])
def test_what_is_exported_leads_to_the_same_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scenarios: str
) -> None:
    monkeypatch.setenv("ATTUNE_SCENARIOS", "another-that-was-in-force-here.yaml")
    private = private_settings(tmp_path / "a folder", Clock(1, OPENING, SPEED))
    settings = replace(private, scenarios=scenarios)
    for line in exports(settings).splitlines():
        export, assignment = shlex.split(line)
        assert export == "export"
        monkeypatch.setenv(*assignment.split("=", 1))
    assert Settings.from_environment() == settings


BAD = """version: mine-1
scenarios:
  - name: cart_abandoned
    on: cart_aded
    after: soon
"""


@pytest.mark.parametrize("named", ["option", "environment"])
def test_a_bad_scenarios_file_is_told_by_its_lines_before_anything_starts(
    tmp_path: Path, named: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(BAD)
    arguments, variables = ["--seconds", "1"], {"ATTUNE_SCENARIOS": str(file)}
    if named == "option":
        arguments += ["--scenarios", str(file)]
        variables = {"ATTUNE_SCENARIOS": "/nowhere/at/all.yaml"}
    done = CliRunner().invoke(command, arguments, env=variables)
    assert done.exit_code == 2
    assert "mine.yaml:4: scenarios.cart_abandoned.on: " in done.stderr
    assert "mine.yaml:5: scenarios.cart_abandoned.after: " in done.stderr
    assert "starting" not in done.output
