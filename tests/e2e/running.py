"""A started `attune` command, and which processes of it are still there."""

import os
import select
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MARK = "ATTUNE_TEST_RUN"
START_S = 60.0


class Run:
    """A running command whose process tree carries a mark in its environment."""

    def __init__(self, *arguments: str, folder: str) -> None:
        self.mark = uuid.uuid4().hex
        self.said = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "services.cli", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, MARK: self.mark, "TMPDIR": folder},
            start_new_session=True,
        )

    def wait_for(self, text: str, timeout_s: float = START_S) -> str:
        """Waits until standard error says `text`; all that it said so far."""
        assert self.process.stderr is not None
        descriptor = self.process.stderr.fileno()
        deadline = time.monotonic() + timeout_s
        while text not in self.said:
            assert time.monotonic() < deadline, f"no {text!r} within {timeout_s} s: {self.said}"
            # Not through the file object: what it buffers, select does not see.
            if select.select([descriptor], [], [], 1.0)[0]:
                read = os.read(descriptor, 65_536)
                assert read, f"ended without {text!r}: {self.said}"
                self.said += read.decode()
        return self.said

    def signal(self, number: signal.Signals) -> None:
        """Sends a signal to the command alone."""
        self.process.send_signal(number)

    def finish(self, timeout_s: float = 90.0) -> tuple[int, str, str]:
        """Exit code, standard output, and all that was said on standard error."""
        output, errors = self.process.communicate(timeout=timeout_s)
        return self.process.returncode, output, self.said + errors

    def processes(self) -> dict[int, str]:
        """Living processes of this run by id, with their command lines."""
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                marked = f"{MARK}={self.mark}".encode() in (folder / "environ").read_bytes()
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if marked and command:
                found[int(folder.name)] = command
        return found

    def gone(self, timeout_s: float = 20.0) -> bool:
        """Whether no process of this run is left, by a deadline."""
        deadline = time.monotonic() + timeout_s
        while self.processes():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


@contextmanager
def running(*arguments: str) -> Iterator[Run]:
    """A command that is ended, with all of its processes, when the test is over."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield from _run(Run(*arguments, folder=folder))


def _run(run: Run) -> Iterator[Run]:
    try:
        yield run
    finally:
        for pid in run.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        run.process.wait(10)
        for pipe in (run.process.stdout, run.process.stderr):
            if pipe is not None:
                pipe.close()
