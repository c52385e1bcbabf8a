"""From SQL to the topic `catalogue`: how a committed change becomes live everywhere.

SQL and the log cannot commit together, so the change and a mark in `catalogue_outbox` do, and the
publisher works the marks off, in this order:
  1. read marks (key, revision) together with the present state of each key;
  2. send that state, keyed by the key, and wait until the log has acknowledged all of it;
  3. delete each mark whose revision is still the one read in 1.
A crash after the commit leaves the mark; a crash after 2 publishes the same state once more, which
changes nothing. A key changed between 1 and 3 has a greater revision, so its mark stays.

One publisher at a time, by a lock among processes: two could put an older state after a newer one,
and the last record of a key is what compaction keeps and readers believe. Whoever takes the lock
first compares SQL with what the topic says (time of the last change, key by key) and marks what
differs. So a new or truncated topic is filled again from SQL. What only the topic holds stays: a
shop may publish items itself, and a deletion in SQL has its mark.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

from services.recommend.catalogue.index import Catalogue
from services.recommend.catalogue.live import Follower
from services.recommend.catalogue.repository import CatalogueRepository, Pending
from shared.bus import Acknowledgement
from shared.database import Held
from shared.errors import AttuneError, LogUnavailable

LOCK: Final = "catalogue-publisher"
BATCH: Final = 500
MARK_BATCH: Final = 2_000
POLL_S: Final = 0.25
"""How often marks left by other processes are looked for; our own wake the publisher."""
RETRY_S: Final = 1.0

_logger = logging.getLogger(__name__)


class Sender(Protocol):
    """What the publisher needs of shared.bus.Producer."""

    async def send(
        self, topic: str, value: bytes | None, *, key: bytes | None = None
    ) -> Acknowledgement:
        """Accepts a record; awaiting the result waits for the log's acknowledgement."""


class Publisher:
    """Works the outbox off. `wake` after a commit makes it look at once."""

    def __init__(self, repository: CatalogueRepository, sender: Sender, topic: str) -> None:
        self._repository = repository
        self._sender = sender
        self._topic = topic
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """There is something to publish."""
        self._wake.set()

    async def run(self, follower: Follower) -> None:
        """Publish until cancelled, whenever this process holds the lock."""
        while True:
            try:
                await follower.caught_up.wait()
                async with self._repository.database.lock(LOCK) as held:
                    await self.repair(follower.catalogue)
                    await self._work(held)
            except AttuneError as error:
                _logger.warning("catalogue not published", extra={"error": str(error)})
                await asyncio.sleep(RETRY_S)
            except Exception:  # a task that ended would leave changes unpublished for good
                _logger.exception("catalogue not published")
                await asyncio.sleep(RETRY_S)

    async def repair(self, catalogue: Catalogue) -> int:
        """Mark what SQL holds and the topic says otherwise or not at all; how many."""
        said = catalogue.changed_at()
        stands = await self._repository.changed_at()
        differing = [key for key, stamp in stands.items() if said.get(key) != stamp]
        for start in range(0, len(differing), MARK_BATCH):
            await self._repository.mark(differing[start : start + MARK_BATCH])
        if differing:
            _logger.info("catalogue republished", extra={"keys": len(differing)})
        return len(differing)

    async def drain(self) -> int:
        """Publish what is marked now, a batch of it; how many keys."""
        pending = await self._repository.pending(BATCH)
        sending = asyncio.create_task(self._send(pending))
        try:
            await asyncio.shield(sending)
        finally:
            # When cancelled too: the lock must not pass on while older records are on their way.
            await asyncio.wait([sending])
            sending.exception()
        await self._repository.published(pending)
        return len(pending)

    async def _send(self, pending: Sequence[Pending]) -> None:
        """Returns when the log has acknowledged all; raises when one failed and none is open."""
        sent: list[Acknowledgement] = []
        try:
            for entry in pending:
                sent.append(
                    await self._sender.send(self._topic, entry.value, key=entry.key.encode())
                )
        finally:
            outcomes = await asyncio.gather(*sent, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _work(self, held: Held) -> None:
        while True:
            self._wake.clear()
            await held()
            try:
                count = await self.drain()
            except LogUnavailable as error:
                # The lock is kept: this producer may still deliver what it could not confirm, and
                # only what it sends itself is certain to come after that.
                _logger.warning("catalogue not published", extra={"error": str(error)})
                await asyncio.sleep(RETRY_S)
                continue
            if count == 0:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), POLL_S)
