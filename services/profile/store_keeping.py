"""Whether Redis keeps what the profile service writes: asked at every commit, and by readiness.

Invariant: an offset is committed only where a look at all servers, after its writes, found them
the same as before and their append-only files (and replicas) further than those writes.
"""

import logging

from redis.asyncio import Redis

from services.profile import metrics
from services.profile.store_errors import translated
from services.profile.store_values import StoreEmptied, StoreNotKeeping
from shared.store import ServerWatch, disconnect, look
from shared.store_durability import AOF_DELAY_S, Durability

log = logging.getLogger(__name__)


class Keeping:
    """Follows the servers of one client. `volatile`: the operator says that they keep nothing."""

    def __init__(self, redis: Redis, watch: ServerWatch, *, volatile: bool = False) -> None:
        self._redis = redis
        self._watch = watch
        self._volatile = volatile
        self._durability = Durability(0.0 if volatile else AOF_DELAY_S, volatile=volatile)
        self._failing = ""

    async def until(self) -> float:
        """The monotonic time up to which what was written survives a crash or a failover.

        Raises StoreUnavailable, and StoreForgot where a server is not the one written to.
        """
        with translated():
            at, told = await look(self._redis, self._watch)
        kept_until = self._durability.looked(at, told)
        self._tell(self._durability.failing)
        return kept_until

    def _tell(self, failing: str) -> None:
        metrics.STORE_KEEPS.set(not failing)
        if failing and failing != self._failing:
            log.error(
                "Redis does not keep what it is told: %s. No offset is committed until it does, "
                "so a restart folds all of that again. Mend it (docs/guides/redis.md), or declare "
                "the store volatile",
                failing,
            )
        elif self._failing and not failing:
            log.warning("Redis keeps what it is told again")
        self._failing = failing

    async def check(self) -> None:
        """Raises StoreUnavailable, StoreForgot, StoreNotKeeping."""
        with translated():
            await self._redis.ping()
        if self._failing:
            raise StoreNotKeeping(self._failing)

    async def accept_servers(self) -> None:
        """Goes on with whichever servers answer now.

        Raises StoreEmptied where they were declared volatile: what is committed may be gone.
        """
        if self._volatile:
            raise StoreEmptied(
                "Redis was declared volatile and has restarted or was replaced: "
                "profiles may be gone; run `attune rebuild`"
            )
        self._watch.accept()
        self._durability.forget()
        with translated():
            await disconnect(self._redis)
            await look(self._redis, self._watch)
