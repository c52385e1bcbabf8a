"""The book in force: read at the start, read again when its file changes. The last good one stays.

The file is looked at once a second at most, and read in a thread, so that nothing waits for it. A
first start with a bad file is refused; after that a bad file changes nothing but `Held`, which
metrics and health tell of.
"""

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from services.profile import metrics
from services.profile.scenarios.book import Book
from services.profile.scenarios.expressions import Failed, nobody
from services.profile.scenarios.nodes import MOST_BYTES
from services.profile.scenarios.problems import BookRefused, Problem
from services.profile.scenarios.reading import read
from shared.health import Remark

SHIPPED: Final = Path(__file__).with_name("shipped.yaml")
EVERY_S: Final = 1.0

log = logging.getLogger(__name__)


class Held(Struct, frozen=True):
    """What is in force. since: epoch seconds when it came; refused: what is wrong with the file as
    it stands now, empty where that is what is in force."""

    version: str
    since: float
    refused: tuple[str, ...] = ()


def load(path: Path, failed: Failed = nobody) -> Book:
    """The book of a file. Raises BookRefused."""
    return read(content_of(path), path.name, failed)


def content_of(path: Path) -> bytes:
    """A file as it is, so far as `read` needs it to refuse one that is too long. Raises
    BookRefused where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        what = f"cannot be read: {error.strerror}"
        raise BookRefused(path.name, [Problem(1, "", what, "see that the file is there")]) from None


class BookHolder:
    """Keeps the book of a file. Raises BookRefused where the file is bad from the start."""

    def __init__(
        self,
        path: Path = SHIPPED,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self._monotonic, self._wall = monotonic, wall
        self._stamp = _stamp(path)
        data = content_of(path)
        self._digest = hashlib.sha256(data).digest()
        self.book = read(data, path.name, _count_failure)
        self.held = Held(self.book.version, wall())
        self._next = monotonic() + EVERY_S
        metrics.SCENARIOS_REFUSED.set(0)
        metrics.SCENARIOS.info({"version": self.book.version})

    async def look(self) -> bool:
        """Looks at the file, unless it did so within the last second; True where a new book came
        into force. Costs nothing but a clock where it is not yet time."""
        if self._monotonic() < self._next:
            return False
        self._next = self._monotonic() + EVERY_S
        return await asyncio.to_thread(self._reload)

    async def check(self) -> Remark | None:
        """For health: a refused file is told there, and is no reason to stop."""
        held = self.held
        if not held.refused:
            return None
        return Remark(f"version {held.version} stays, the file has {len(held.refused)} problems")

    def _reload(self) -> bool:
        stamp = _stamp(self.path)
        if stamp == self._stamp:
            return False
        try:
            data = content_of(self.path)
            self._stamp = stamp
            digest = hashlib.sha256(data).digest()
            if digest == self._digest:
                # Touched, or put back to what is in force.
                self._keep(())
                return False
            book = read(data, self.path.name, _count_failure)
        except BookRefused as refused:
            self._stamp = stamp
            self._keep(tuple(refused.lines))
            return False
        self._digest, self.book = digest, book
        self.held = Held(book.version, self._wall())
        metrics.SCENARIOS_REFUSED.set(0)
        metrics.SCENARIOS_RELOADS.labels("taken").inc()
        metrics.SCENARIOS.info({"version": book.version})
        log.info("scenarios reloaded", extra={"version": book.version})
        return True

    def _keep(self, refused: tuple[str, ...]) -> None:
        """Stays with the book in force."""
        self.held = replace(self.held, refused=refused)
        metrics.SCENARIOS_REFUSED.set(bool(refused))
        if refused:
            metrics.SCENARIOS_RELOADS.labels("refused").inc()
            log.error(
                "scenarios refused, the last good version stays",
                extra={"version": self.held.version, "problems": list(refused[:10])},
            )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    """What changes when the file is written or replaced; None where it is not there."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _count_failure(text: str) -> None:
    metrics.EXPRESSIONS_FAILED.inc()
