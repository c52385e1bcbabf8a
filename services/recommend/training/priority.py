"""Steps back behind other processes: called by main.py before a training begins.

Linux on a machine without containers shares its cores between sessions first (`man 7 sched`, the
autogroup feature), and nice values count only inside of one: a training at nice 19 in a session of
its own gets as much as recommend in another. So the session steps back, too.
"""

import os
from pathlib import Path
from typing import Final

_PROCESSES: Final = Path("/proc")
_OWN_GROUP: Final = _PROCESSES / "self" / "autogroup"
_PARENT, _SESSION, _TERMINAL = 1, 3, 4
"""Places in /proc/PID/stat behind the name."""


def step_back(nice: int) -> None:
    """Raise the nice value of this process by so much, and set its session's to the same, unless
    that has a terminal or anybody in it who does not wait for this process: they would be slow
    without having asked for it."""
    raised = os.nice(nice)
    if raised > 0 and _OWN_GROUP.exists() and _alone():
        try:
            _OWN_GROUP.write_text(str(raised))
        except OSError:  # a kernel that groups nothing, or forbids it: the nice value counts alone
            return


def _alone() -> bool:
    """Whether nobody is in this session but this process and those it descends from."""
    found = {int(path.name): _facts(path) for path in _PROCESSES.iterdir() if path.name.isdigit()}
    own = found.get(os.getpid())
    if own is None or own[_TERMINAL] != 0:
        return False
    waiting, process = {os.getpid()}, own[_PARENT]
    while (facts := found.get(process)) is not None and process not in waiting:
        waiting.add(process)
        process = facts[_PARENT]
    return all(
        process in waiting
        for process, facts in found.items()
        if facts is not None and facts[_SESSION] == own[_SESSION]
    )


def _facts(path: Path) -> list[int] | None:
    """The numbers in a process's stat behind its name and state; None where it has ended."""
    try:
        text = (path / "stat").read_text()
    except OSError:
        return None
    # a name may hold spaces and brackets; what stands before them is of no use here
    return [0, *map(int, text.rpartition(")")[2].split()[1:6])]
