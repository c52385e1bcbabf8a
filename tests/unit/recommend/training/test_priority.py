"""A training steps back behind other sessions, where nobody else is in its own."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from services.commands.bench.recommend_busy import AGAIN
from services.local.guard import Guarded

OWN_GROUP = Path("/proc/self/autogroup")
PRINTED = "print(os.nice(0), open('/proc/self/autogroup').read().split()[-1])"
STEPS = (
    "import os; from services.recommend.training.priority import step_back; "
    f"step_back(7); {PRINTED}"
)
LOWERED = min(os.nice(0) + 7, 19)
"""Tests themselves may run at a low priority."""
grouped = pytest.mark.skipif(not OWN_GROUP.exists(), reason="this system groups no sessions")


def _printed(*command: str) -> str:
    """What a command in a session of its own prints."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, start_new_session=True
    )
    return done.stdout.strip()


@grouped
def test_the_session_steps_back_with_the_process() -> None:
    assert _printed(sys.executable, "-c", STEPS) == f"{LOWERED} {LOWERED}"


@grouped
def test_who_waits_for_it_in_its_session_is_no_hindrance() -> None:
    around = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"

    assert _printed(sys.executable, "-c", around, STEPS) == f"{LOWERED} {LOWERED}"


@grouped
def test_others_in_the_session_keep_it_where_it_is() -> None:
    around = (
        "import subprocess, sys\n"
        "other = subprocess.Popen(['sleep', '60'], stdout=subprocess.DEVNULL)\n"
        "try:\n"
        "    subprocess.run([sys.executable, '-c', sys.argv[1]])\n"
        "finally:\n"
        "    other.kill()\n"
    )

    assert _printed(sys.executable, "-c", around, STEPS) == f"{LOWERED} 0"


def test_the_benchmark_leaves_no_training_behind(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    train = f"import os, time; open({str(file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    trainer = Guarded.start(
        [sys.executable, "-c", AGAIN, sys.executable, "-c", train], log=tmp_path / "log"
    )
    deadline = time.monotonic() + 20
    while not (file.exists() and file.read_text()) and time.monotonic() < deadline:
        assert trainer.alive()
    process = Path("/proc") / file.read_text()
    assert process.exists()

    trainer.stop()

    while process.exists() and time.monotonic() < deadline:
        assert not trainer.alive()
    assert not process.exists()
