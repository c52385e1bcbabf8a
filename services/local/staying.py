"""`attune local --keep`: what is told to whoever goes on with the running system, until it ends."""

import asyncio
import shlex
from typing import Final

from services.commands.output import Report
from services.local.servers import environment
from services.local.system import System
from shared.settings import Settings

ALWAYS_TOLD: Final = frozenset(["ATTUNE_SCENARIOS"])
"""Even where it is the default: another file may be in force in that terminal."""
MINUTES_A_DAY: Final = 1_440


async def stay(report: Report, system: System) -> None:
    """Stays up until Ctrl-C or SIGTERM, or until a service dies."""
    if report.text is not None and not report.as_json:
        report.say(report.text)
        report.text = "stopped"
    report.say(f"keys of this run: server {system.keys.server}, browser {system.keys.browser}")
    report.say(f"\nfor commands in another terminal:\n{exports(system.settings)}\n")
    report.say(
        f"health (/health/ready) and metrics (/metrics): profile {system.profile}, "
        f"ingest {system.ingest}; the others have them too"
    )
    days = system.settings.clock.speed / MINUTES_A_DAY
    report.say(f"its clock runs on, {days:g} days a minute: send events without occurred_at")
    report.say("all stays up until Ctrl-C")
    try:
        while True:
            system.processes.check()
            await asyncio.sleep(0.5)
    except asyncio.CancelledError:
        report.say("stopping")


def exports(settings: Settings) -> str:
    """What a shell is told so that `attune` finds this system: all that is no default, and which
    scenarios are in force."""
    defaults = environment(Settings())
    return "\n".join(
        f"export {name}={shlex.quote(value)}"
        for name, value in environment(settings).items()
        if value != defaults[name] or name in ALWAYS_TOLD
    )
