"""Which offsets may be committed: only what the store will still know after a crash.

Under AOF everysec Redis may lose the last second or so, so a batch's offsets wait until its writes
are two seconds old; with a store declared volatile they wait for nothing. What is redelivered after
a crash meets its own positions and changes nothing.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, TypeAlias

TopicPartition: TypeAlias = tuple[str, int]

AOF_DELAY_S: Final = 2.0


class PendingOffsets:
    """Offsets of applied batches, oldest first, with the monotonic time of their write."""

    def __init__(self, delay_s: float) -> None:
        self._delay_s = delay_s
        self._batches: deque[tuple[float, dict[TopicPartition, int]]] = deque()

    def applied(self, offsets: Mapping[TopicPartition, int], at: float) -> None:
        """Notes the next offsets to read after a batch whose writes were done at `at` (s)."""
        self._batches.append((at, dict(offsets)))

    def has_durable(self, now: float) -> bool:
        """Whether `durable` would give anything."""
        return bool(self._batches) and self._batches[0][0] + self._delay_s <= now

    def durable(self, now: float) -> dict[TopicPartition, int]:
        """Takes out what is durable at `now` (s): the next offset to read, by partition."""
        ready: dict[TopicPartition, int] = {}
        while self.has_durable(now):
            ready.update(self._batches.popleft()[1])
        return ready

    def failed(self, offsets: Mapping[TopicPartition, int]) -> None:
        """Takes back what `durable` gave and the log did not take: it is durable still."""
        self._batches.appendleft((float("-inf"), dict(offsets)))

    def last_due(self) -> float | None:
        """When the newest batch becomes durable (s), or None where nothing waits."""
        return self._batches[-1][0] + self._delay_s if self._batches else None

    def forget(self, partitions: set[TopicPartition]) -> None:
        """Drops partitions that were taken away."""
        for _, offsets in self._batches:
            for partition in partitions & offsets.keys():
                del offsets[partition]
