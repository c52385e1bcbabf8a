"""Runs a foreign server so that it can never outlive the process that started it.

`Guarded` starts `python -m services.local.guard -- PROGRAM ...`: a small process that starts the
program and ends it as soon as its own standard input closes, which the system does when the parent
dies in whatever way. (A parent-death signal alone fires when the starting *thread* ends.)
"""

import ctypes
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from shared.errors import Unavailable

STOP_S = 10.0
PR_SET_PDEATHSIG = 1


class Guarded:
    """A server process under guard. `pid` is the server's own, for signals that tests send."""

    def __init__(self, guard: "subprocess.Popen[bytes]", pid: int, log: Path) -> None:
        self._guard = guard
        self.pid = pid
        self.log = log

    @classmethod
    def start(
        cls, command: Sequence[str], *, log: Path, environment: Mapping[str, str] | None = None
    ) -> Self:
        """Starts `command` with its output appended to `log`; returns before it is ready.

        Raises Unavailable when the program cannot be started.
        """
        with log.open("ab") as output:
            guard = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", __name__, "--", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=None if environment is None else {**os.environ, **environment},
                start_new_session=True,
            )
        assert guard.stdout is not None  # noqa: S101
        line = guard.stdout.readline()
        if not line:
            guard.wait()
            _close(guard)
            raise Unavailable(f"{command[0]} does not start: {tail(log)}")
        return cls(guard, json.loads(line)["pid"], log)

    def alive(self) -> bool:
        """Whether the server still runs."""
        return self._guard.poll() is None

    def stop(self, timeout_s: float = STOP_S, *, by: signal.Signals = signal.SIGTERM) -> None:
        """Asks the server to end, waits, and kills it after `timeout_s` seconds."""
        self._signal(by)
        self._end(timeout_s)

    def kill(self) -> None:
        """Ends the server as a crash would (SIGKILL)."""
        self._signal(signal.SIGKILL)
        self._end(STOP_S)

    def _signal(self, number: signal.Signals) -> None:
        if self.alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _end(self, timeout_s: float) -> None:
        try:
            self._guard.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._guard.wait(STOP_S)
        _close(self._guard)

    def await_ready(self, ready: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Polls `ready()` until it is true; raises Unavailable with the log's end otherwise."""
        deadline = time.monotonic() + timeout_s
        why = f"{what} is not ready after {timeout_s:g} s"
        try:
            while time.monotonic() < deadline:
                if ready():
                    return
                if not self.alive():
                    why = f"{what} ended while starting"
                    break
                time.sleep(0.02)
        except BaseException:
            self.stop()
            raise
        self.stop()
        raise Unavailable(f"{why}: {tail(self.log)}")


def _close(guard: "subprocess.Popen[bytes]") -> None:
    for pipe in (guard.stdin, guard.stdout):
        if pipe is not None:
            pipe.close()


def tail(log: Path, lines: int = 5) -> str:
    """The last lines of a log on one line, for an error message."""
    with suppress(OSError):
        text = log.read_text(errors="replace").strip().splitlines()
        return " | ".join(text[-lines:]) or f"nothing in {log}"
    return f"no log at {log}"


def die_with_parent() -> None:
    """Asks Linux to kill this process when the thread that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(arguments: Sequence[str]) -> int:
    """The guard itself: one thread, so that the parent-death signal means what it says."""
    command = list(arguments[1:] if arguments[:1] == ["--"] else arguments)
    child = subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        preexec_fn=die_with_parent,  # noqa: PLW1509
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: child.terminate())
    sys.stdout.write(json.dumps({"pid": child.pid}) + "\n")
    sys.stdout.flush()
    while child.poll() is None:
        readable, _, _ = select.select([sys.stdin], [], [], 0.1)
        if readable and not os.read(sys.stdin.fileno(), 1):
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(STOP_S)
            if child.poll() is None:
                child.kill()
            break
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
