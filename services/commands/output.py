"""What every command prints: readable lines for people, or one JSON object for scripts.

A command wraps its work in a Report:

    @click.command()
    @json_option
    def command(as_json: bool) -> None:
        '''Compare live profiles with a replay of the log.'''
        with Report("verify", as_json=as_json, settings={"bootstrap": ...}) as report:
            report.machine(broker="Apache Kafka 4.1.0", store="redis-server 7.0.15")
            report.say("replaying ...")            # standard error with --json
            report.add(events=10, equal=10)
            report.check("equal", different == 0)  # exit 1 and "failed": ["equal"] if not

Exit 0: done and every checked bound holds. 1: a bound fails, the report still comes. 2: bad
arguments or input, one line on standard error. Progress and logs belong on standard error.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click
import msgspec

import shared
from shared.errors import AttuneError

BOUND_FAILED = 1
BAD_INPUT = 2

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on standard output."
)


class CommandFailed(click.ClickException):
    """Ends a command with one clear line on standard error and an exit code."""

    def __init__(self, message: str, *, exit_code: int = BAD_INPUT) -> None:
        super().__init__(" ".join(message.split()))
        self.exit_code = exit_code  # type: ignore[misc]  # click declares it on the class

    @classmethod
    def of(cls, error: AttuneError) -> Self:
        """The error as its line; its code where it has no message."""
        return cls(str(error) or error.code, exit_code=error.exit_code)

    def show(self, file: Any = None) -> None:
        click.echo(f"attune: {self.message}", file=file or sys.stderr)


class Report:
    """Collects the keys of one command's result and prints them on leaving.

    Keys of CLI.md's envelope are always there; `add` never replaces them. An AttuneError inside
    becomes one line on standard error and its exit code, with the JSON where that code is 1.
    """

    def __init__(
        self,
        command: str,
        *,
        as_json: bool = False,
        seed: int | None = None,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        self.command = command
        self.as_json = as_json
        self.seed = seed
        self.settings = dict(settings or {})
        self.results: dict[str, Any] = {}
        self.failed: list[str] = []
        self._why: list[str] = []
        self.text: str | None = None
        """What people read instead of the plain list of keys, if a command sets it."""
        self._machine: dict[str, Any] = {"broker": None, "store": None}
        self._started = time.monotonic()

    def add(self, **results: Any) -> None:
        """Keys of the result: anything that JSON can hold, msgspec structs and dataclasses."""
        self.results.update(results)

    def check(self, name: str, holds: bool, why: str = "") -> None:
        """A bound that the command itself checks: where it fails, the exit code is 1, and `why`
        is a line on standard error."""
        if not holds and name not in self.failed:
            self.failed.append(name)
            self._why += [f"  {name}: {why}"] if why else []

    def machine(self, *, broker: str | None = None, store: str | None = None) -> None:
        """Which broker and which store the command ran on."""
        self._machine.update(broker=broker, store=store)

    def say(self, line: str) -> None:
        """A line for people: kept off standard output where a script reads that."""
        click.echo(line, err=self.as_json)

    def envelope(self) -> dict[str, Any]:
        """The whole report as it is printed."""
        return {
            **self.results,
            "command": self.command,
            "version": shared.__version__,
            "commit": commit(),
            "seed": self.seed,
            "settings": self.settings,
            "duration_s": round(time.monotonic() - self._started, 3),
            "machine": {
                "cores": len(os.sched_getaffinity(0)) if _has_affinity() else os.cpu_count(),
                "python": platform.python_version(),
                **self._machine,
            },
            "failed": self.failed,
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, AttuneError):
            if error.exit_code == BOUND_FAILED and self.as_json:
                self.check(error.code, False)
                self._print()
            raise CommandFailed.of(error) from error
        if error is not None:
            return
        self._print()
        if self.failed:
            click.echo(
                "\n".join([f"attune: failed: {', '.join(self.failed)}", *self._why]), err=True
            )
            raise click.exceptions.Exit(BOUND_FAILED)

    def _print(self) -> None:
        if self.as_json:
            click.echo(msgspec.json.encode(self.envelope()).decode())
        elif self.text is not None:
            click.echo(self.text)
        else:
            for line in _lines(msgspec.to_builtins(self.results)):
                click.echo(line)


def commit() -> str:
    """The commit of the checkout that this code runs from, or `unknown` outside of one."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return "unknown"
    with suppress(OSError, subprocess.SubprocessError):
        answer = subprocess.run(  # noqa: S603  (fixed arguments)
            ["git", "-C", str(root), "rev-parse", "HEAD"],  # noqa: S607  (git wherever it is)
            capture_output=True,
            text=True,
            check=True,
            timeout=5,
        )
        return answer.stdout.strip()
    return "unknown"


def _has_affinity() -> bool:
    return hasattr(os, "sched_getaffinity")


def _lines(value: Any, indent: int = 0) -> Iterator[str]:
    """Nested keys as indented `key: value` lines."""
    pairs = value.items() if isinstance(value, dict) else (("-", entry) for entry in value)
    for key, entry in pairs:
        label = " " * indent + (f"{key}:" if isinstance(value, dict) else "-")
        if isinstance(entry, dict | list) and entry:
            yield label
            yield from _lines(entry, indent + 2)
        else:
            yield f"{label} {_scalar(entry)}"


def _scalar(value: Any) -> str:
    if value is None or value in ({}, []):
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
