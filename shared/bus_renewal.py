"""A producer's client that is opened anew once it can no longer be trusted.

An idempotent client numbers what it sends, by partition. A batch that the log refuses for good
leaves a gap in the numbers, and every later batch of that partition is refused as out of order,
for ever; a client that lost its epoch, whose sender died or that hangs is as useless. Below
`bus.Producer`, which says when a client is broken.

Invariant: a fresh client sends nothing before the old one has ended, and what the old one had not
delivered by then has failed. So records of one key never overtake each other unseen.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final, Self

from shared.bus_connection import cut, start, stop
from shared.settings import Settings

RENEW_S: Final = 4.0
"""How long a sender waits for a fresh client before its records count as failed."""


class RenewingClient:
    """The client to send through: `ready()` each time. Open with `open`."""

    def __init__(self, settings: Settings, create: Callable[[], Any], client: Any) -> None:
        self._settings = settings
        self._create = create
        self._renewal: asyncio.Task[None] | None = None
        self._given_up = False
        self._ending = asyncio.Lock()
        self.current = client
        self.broken = False

    @classmethod
    @asynccontextmanager
    async def open(
        cls, settings: Settings, create: Callable[[], Any], *, wait_s: float
    ) -> AsyncIterator[Self]:
        """Raises LogUnavailable when no broker answers within `wait_s` seconds."""
        renewing = cls(settings, create, await start(settings, create, wait_s))
        try:
            yield renewing
        finally:
            await renewing._close()

    async def ready(self) -> Any:
        """A client that works as far as is known. Raises LogUnavailable where none can be had."""
        if self.broken:
            if self._renewal is None or self._renewal.done():
                self._renewal = asyncio.create_task(self._renew(), name="renew-producer")
                self._renewal.add_done_callback(_retrieve)
            # Shared: whoever is cancelled while waiting must not undo it for the others.
            await asyncio.shield(self._renewal)
        return self.current

    async def give_up(self) -> None:
        """Ends the client at once: all that it has not delivered fails now."""
        self.broken = self._given_up = True
        async with self._ending:
            await cut(self.current)

    async def _renew(self) -> None:
        # In this order: see the invariant.
        async with self._ending:
            await (cut if self._given_up else stop)(self.current)
        self.current = await start(self._settings, self._create, RENEW_S)
        self.broken = self._given_up = False

    async def _close(self) -> None:
        if self._renewal is not None:
            await asyncio.wait([self._renewal])
        await stop(self.current)


def _retrieve(renewal: "asyncio.Task[None]") -> None:
    """Everybody who waited for it may have been cancelled; its error is then nobody's."""
    if not renewal.cancelled():
        renewal.exception()
