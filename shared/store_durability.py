"""Up to when everything written to Redis is safe: what offsets may be committed by. Pure.

A server under AOF everysec may lose its last second, and a replica that takes over may lose what
it had not yet received. So a write counts as kept once it is two seconds old, no sync of the
append-only file is under way at a look after that, and each replica has acknowledged at least what
had been written by then. A replica that has gone may still take over: for five minutes nothing
counts as kept without it. ADR 0011 says why this is enough.
"""

from collections import deque
from collections.abc import Mapping
from typing import Final, NamedTuple

AOF_DELAY_S: Final = 2.0
LOOKS_KEPT: Final = 4_000
REPLICA_S: Final = 300.0
"""Longer than a cluster with default settings lets a replica that lost its master take over."""


class Told(NamedTuple):
    """What one server says of itself (INFO).

    identity: shows whether it is another one than before; evicts: it drops profiles when its memory
    is full; rewriting: its append-only file is written anew; rewrite_failed: the last try at that
    failed; offset: what it has written, acknowledged: what each of its replicas has of that.
    """

    identity: tuple[str, str]
    evicts: bool
    aof: bool
    aof_written: bool
    rewriting: bool
    rewrite_failed: bool
    syncing: bool
    offset: int
    acknowledged: tuple[int, ...]


class Durability:
    """Follows looks at all servers of a store, and says up to when writes are kept."""

    def __init__(self, delay_s: float = AOF_DELAY_S, *, volatile: bool = False) -> None:
        self._delay_s = delay_s
        self._volatile = volatile
        self._looks: deque[tuple[float, dict[str, int]]] = deque(maxlen=LOOKS_KEPT)
        self._replicas: dict[str, tuple[int, float]] = {}
        self._kept_until = float("-inf")
        self._whole = False
        self.failing = ""
        """Why nothing can be kept, in words; empty where nothing is wrong."""

    def looked(self, at: float, told: Mapping[str, Told]) -> float:
        """Takes a look begun at `at` (monotonic s); returns the time up to which writes are kept.

        Writes acknowledged before that time survive the loss of a last second or of a master.
        """
        self._looks.append((at, {server: one.offset for server, one in told.items()}))
        self.failing = "" if self._volatile else _failing(told)
        if self._may_keep(at, told):
            while self._looks and self._is_kept(self._looks[0], at, told):
                self._kept_until = self._looks.popleft()[0]
        return self._kept_until

    def _may_keep(self, now: float, told: Mapping[str, Told]) -> bool:
        missed = [self._misses_replica(server, one, now) for server, one in told.items()]
        servers = told.values()
        # Where it was switched on just now, the file holds nothing before its first rewrite ends.
        self._whole = not self.failing and (
            self._whole
            or self._volatile
            or not any(one.rewriting or one.rewrite_failed for one in servers)
        )
        if not (self._whole or self.failing) and any(one.rewrite_failed for one in servers):
            self.failing = "its append-only file may not be whole: the last rewrite of it failed"
        return self._whole and not any(missed) and not any(one.syncing for one in servers)

    def _misses_replica(self, server: str, one: Told, now: float) -> bool:
        most, last_seen = self._replicas.get(server, (0, now))
        if len(one.acknowledged) < most and now < last_seen + REPLICA_S:
            return True
        self._replicas[server] = (len(one.acknowledged), now)
        return False

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
        self._replicas.clear()
        self._whole = False
        self._kept_until = float("-inf")


def _failing(told: Mapping[str, Told]) -> str:
    if any(one.evicts for one in told.values()):
        return "it evicts profiles when its memory is full (maxmemory-policy)"
    if not all(one.aof for one in told.values()):
        return "it has no append-only file"
    if not all(one.aof_written for one in told.values()):
        return "it could not write its append-only file"
    return ""
