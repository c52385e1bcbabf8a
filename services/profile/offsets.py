"""Which offsets may be committed: only what the store will still know after a crash.

A batch's offsets wait until a look at the store says that its writes are kept (`store_keeping`).
What is redelivered after a crash meets its own positions and changes nothing.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, TypeAlias

TopicPartition: TypeAlias = tuple[str, int]

MOST_BATCHES: Final = 1_000
"""Beyond these the oldest wait together, so that a store that keeps nothing costs no memory."""


class PendingOffsets:
    """Offsets of applied batches, oldest first, with the monotonic time of their write."""

    def __init__(self) -> None:
        self._batches: deque[tuple[float, dict[TopicPartition, int]]] = deque()

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not any(offsets for _, offsets in self._batches)

    def applied(self, offsets: Mapping[TopicPartition, int], at: float) -> None:
        """Notes the next offsets to read after a batch whose writes were done at `at` (s)."""
        self._batches.append((at, dict(offsets)))
        if len(self._batches) > MOST_BATCHES:
            _, oldest = self._batches.popleft()
            later, next_oldest = self._batches.popleft()
            self._batches.appendleft((later, oldest | next_oldest))

    def durable(self, kept_until: float) -> dict[TopicPartition, int]:
        """Takes out what was written up to that time (s): the next offset to read, by partition."""
        ready: dict[TopicPartition, int] = {}
        while self._batches and self._batches[0][0] <= kept_until:
            ready.update(self._batches.popleft()[1])
        return ready

    def failed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Takes back what `durable` gave and the log did not take: it is durable still."""
        self._batches.appendleft((float("-inf"), dict(offsets)))

    def forget(self, partitions: set[TopicPartition]) -> None:
        """Drops partitions that were taken away."""
        for _, offsets in self._batches:
            for partition in partitions & offsets.keys():
                del offsets[partition]
