"""Up to when everything written to Redis is safe: what offsets may be committed by. Pure.

A server under AOF everysec may lose its last second, and a replica that takes over may lose what
it had not yet received. So a write counts as kept once it is two seconds old, no sync of the
append-only file is under way at a look after that, and each replica that the server had at that
look has acknowledged at least what had been written. ADR 0011 says why this is enough.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

AOF_DELAY_S: Final = 2.0
LOOKS_KEPT: Final = 4_000


class Told(NamedTuple):
    """What one server says of itself (INFO): whether it is another one than before shows in
    `identity`; `offset` is what it has written, `acknowledged` what each of its replicas has."""

    identity: tuple[str, str]
    aof: bool
    aof_written: bool
    syncing: bool
    offset: int
    acknowledged: tuple[int, ...]


class Durability:
    """Follows looks at all servers of a store, and says up to when writes are kept."""

    def __init__(self, delay_s: float = AOF_DELAY_S, *, volatile: bool = False) -> None:
        self._delay_s = delay_s
        self._volatile = volatile
        self._looks: deque[tuple[float, dict[str, int]]] = deque(maxlen=LOOKS_KEPT)
        self._kept_until = float("-inf")
        self.failing = ""
        """Why nothing can be kept, in words; empty where nothing is wrong."""

    def looked(self, at: float, told: Mapping[str, Told]) -> float:
        """Takes a look begun at `at` (monotonic s); returns the time up to which writes are kept.

        Writes acknowledged before that time survive the loss of a last second or of a master.
        """
        self._looks.append((at, {server: one.offset for server, one in told.items()}))
        self.failing = "" if self._volatile else _failing(told)
        if not (self.failing or any(one.syncing for one in told.values())):
            while self._looks and self._is_kept(self._looks[0], at, told):
                self._kept_until = self._looks.popleft()[0]
        return self._kept_until

    def _is_kept(
        self, look: tuple[float, dict[str, int]], now: float, told: Mapping[str, Told]
    ) -> bool:
        then, offsets = look
        return then + self._delay_s <= now and all(
            acknowledged >= offsets.get(server, one.offset)
            for server, one in told.items()
            for acknowledged in one.acknowledged
        )

    def forget(self) -> None:
        """Starts anew, with other servers."""
        self._looks.clear()
        self._kept_until = float("-inf")


def _failing(told: Mapping[str, Told]) -> str:
    if not all(one.aof for one in told.values()):
        return "it has no append-only file"
    if not all(one.aof_written for one in told.values()):
        return "it could not write its append-only file"
    return ""
