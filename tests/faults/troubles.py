"""What may happen to any process: with its guards in place, none of this does harm.

Used by the scenarios of `mutations`, where chance would take too long to strike.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any, Final

from tests.faults.patching import die, replace, wrap

LATE_S: Final = 6.0
TASKS: Final[set[asyncio.Task[None]]] = set()


def publication_arrives_late() -> None:
    """The first facts that profile publishes arrive some seconds after the log said they failed."""
    from services.profile.publisher import Publisher
    from shared.errors import LogUnavailable

    first = True

    async def publish(original: Any, self: Any, entries: Any, messages: Any = ()) -> None:
        nonlocal first
        if not (first and entries):
            await original(self, entries, messages)
            return
        first = False
        TASKS.add(asyncio.create_task(_later(original(self, list(entries), ()))))
        raise LogUnavailable("no answer in time, and yet it arrives")

    wrap(Publisher, "publish", publish)


async def _later(sending: Any) -> None:
    await asyncio.sleep(LATE_S)
    await sending


def sleeps_before_saving() -> None:
    """Profile is stopped, as by a long pause of its machine, between reading and writing."""
    from services.profile.store import ProfileStore

    first = True

    async def save(original: Any, self: Any, identities: Any) -> Any:
        nonlocal first
        if first and identities:
            first = False
            os.kill(os.getpid(), signal.SIGSTOP)
        return await original(self, identities)

    wrap(ProfileStore, "save", save)


def dies_at_a_dead_letter() -> None:
    """Ingest is killed where it was about to send its first dead letter."""
    from shared.bus import Producer

    async def send(original: Any, self: Any, topic: str, *arguments: Any, **named: Any) -> Any:
        if topic.endswith("dead-letters"):
            die()
        return await original(self, topic, *arguments, **named)

    wrap(Producer, "send", send)


def commits_seldom() -> None:
    """Ingest is slow, and its commits of their own accord lie far apart."""
    from services.ingest import pipeline

    replace(pipeline, "_COMMIT_S", 60.0)

    async def process(original: Any, self: Any, batch: Any) -> None:
        await original(self, batch)
        await asyncio.sleep(0.2)

    wrap(pipeline.Pipeline, "process", process)


TROUBLES: Final[dict[str, Callable[[], None]]] = {
    "publication_arrives_late": publication_arrives_late,
    "sleeps_before_saving": sleeps_before_saving,
    "dies_at_a_dead_letter": dies_at_a_dead_letter,
    "commits_seldom": commits_seldom,
}
