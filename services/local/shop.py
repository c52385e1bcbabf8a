"""The simulated shop beside a private system: a process of its own, followed through its file."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from services.local.processes import Program
from services.local.system import System
from shared.errors import Unavailable

NAME: Final = "simulator"
POLL_S: Final = 0.2
CLOSING_S: Final = 30.0

Progress = dict[str, Any]


async def run_shop(
    system: System,
    folder: Path,
    *,
    world: str,
    seed: int,
    seconds: float,
    on_progress: Callable[[Progress], None],
) -> dict[str, Any]:
    """Opens the shop for `seconds`, tells its progress, and returns the shop's own report.

    Raises Unavailable, with the end of its log, when the shop or a service dies meanwhile.
    """
    output = folder / "shop.jsonl"
    output.touch()
    await system.processes.start(_program(system, output, world, seed, seconds))
    deadline = asyncio.get_running_loop().time() + seconds + CLOSING_S
    with output.open() as lines:
        while True:
            for line in _whole_lines(lines):
                said = msgspec.json.decode(line)
                if "report" in said:
                    await system.processes.stop(NAME)
                    report: dict[str, Any] = said["report"]
                    return report
                on_progress(said["progress"])
            system.processes.check()
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(f"the shop does not close: {system.processes.tail(NAME)}")
            await asyncio.sleep(POLL_S)


def _program(system: System, output: Path, world: str, seed: int, seconds: float) -> Program:
    options = {
        "collector": system.collector,
        "recommend": system.recommend,
        "kafka": system.settings.bootstrap,
        "namespace": system.settings.namespace,
        "clock": str(system.settings.clock),
        "world": world,
        "seed": str(seed),
        "seconds": str(seconds),
        "output": str(output),
    }
    arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
    secrets = {"SHOP_SERVER_KEY": system.keys.server, "SHOP_BROWSER_KEY": system.keys.browser}
    return Program(NAME, ("-m", "services.simulator.run", *arguments), secrets)


def _whole_lines(lines: Any) -> list[str]:
    """The lines written since the last call; one that is still being written stays for later."""
    found: list[str] = []
    while True:
        start = lines.tell()
        line = lines.readline()
        if not line.endswith("\n"):
            lines.seek(start)
            return found
        found.append(line)
