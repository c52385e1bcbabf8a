"""Runs a service of Attune with something wrong on purpose: for the fault harness only.

    python -m tests.faults.broken [--crash POINT:VISITS] [--trouble NAME] [--guard NAME] \\
        -- profile --port 0

`--crash` kills the process, as kill -9 would, at its n-th visit to a place inside a batch;
`--trouble` is something that may happen to any process (`troubles.TROUBLES`); `--guard` takes one
guard away (`mutations.GUARDS`). Production code has no switch for any of them.
"""

import sys
from collections.abc import Awaitable, Callable
from typing import Any

import click

from tests.faults.patching import die, wrap


def crash_at(service: str, point: str, visits: int) -> None:
    """Arranges for this process to die at its n-th visit to a point of `schedule.CRASH_POINTS`."""
    when, _, step = point.partition("_")
    owner, name = _places(service)[step]
    left = visits

    async def dying(original: Callable[..., Awaitable[Any]], *arguments: Any, **named: Any) -> Any:
        nonlocal left
        # A call without anything to do is no visit.
        left -= any(bool(argument) for argument in arguments[1:]) or len(arguments) == 1
        if when == "before" and left <= 0:
            die()
        answer = await original(*arguments, **named)
        if left <= 0:
            die()
        return answer

    wrap(owner, name, dying)


def _places(service: str) -> dict[str, tuple[Any, str]]:
    from services.profile.publisher import Publisher
    from services.profile.store import ProfileStore
    from shared.bus import GroupConsumer, Producer

    if service == "ingest":
        return {"flush": (Producer, "flush"), "commit": (GroupConsumer, "commit")}
    return {
        "items": (ProfileStore, "count_items"),
        "schedule": (ProfileStore, "schedule"),
        "save": (ProfileStore, "save"),
        "publish": (Publisher, "publish"),
        "commit": (GroupConsumer, "commit"),
    }


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--crash", default="", help="POINT:VISITS")
@click.option("--trouble", default="")
@click.option("--guard", default="")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def main(crash: str, trouble: str, guard: str, command: tuple[str, ...]) -> None:
    """Runs `attune COMMAND` with a crash point, in trouble, or without a guard."""
    if crash:
        point, _, visits = crash.partition(":")
        crash_at(command[0], point, int(visits))
    if trouble:
        from tests.faults.troubles import TROUBLES

        TROUBLES[trouble]()
    if guard:
        from tests.faults.mutations import GUARDS

        GUARDS[guard]()
    from services.cli import main as attune

    sys.argv = ["attune", *command]
    attune()


if __name__ == "__main__":
    main()
