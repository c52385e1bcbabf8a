"""How `mutations`, `troubles` and crash points change a process that runs for the harness only."""

import functools
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any


def die() -> None:
    """Ends this process as kill -9 would: nothing is flushed, closed or said."""
    os.kill(os.getpid(), signal.SIGKILL)


def wrap(owner: Any, name: str, wrapper: Callable[..., Awaitable[Any]]) -> None:
    """Replaces a coroutine function by `wrapper(original, *its arguments)`."""
    original = getattr(owner, name)

    @functools.wraps(original)
    async def replaced(*arguments: Any, **named: Any) -> Any:
        return await wrapper(original, *arguments, **named)

    setattr(owner, name, replaced)


def replace(owner: Any, name: str, value: Any) -> None:
    """Replaces what is there; an error where nothing is, so that no guard is missed by a rename."""
    getattr(owner, name)
    setattr(owner, name, value)
