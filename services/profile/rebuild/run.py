"""All of Redis anew from the log, while the old generation is read and written on.

In this order, and the order matters:
1. take the lease of rebuilds, and name the new generation in the pointer: a run that dies leaves
   its name there, and the next one removes what it had written;
2. fold each partition to its end, in memory, in as many processes as there are cores;
3. follow the log in rounds, until a round finds little or no less than the one before;
4. go on following until the writes of some round are durable;
5. take what was published meanwhile out of the outboxes;
6. note where changes of items are taken up, and move the pointer, naming for each partition where
   live workers begin: not beyond what is durable, nor beyond a fact of which something is not yet
   published;
7. wait until readers and workers have noticed (and a cluster keeps the pointer), then remove the
   old generation's keys by name.
Whatever fails before 6 changes nothing that anybody reads. Publishes nothing, decides nothing.
"""

import asyncio
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, TypeVar

from msgspec import Struct

from services.profile.applying import Applier
from services.profile.cache import IdentityCache
from services.profile.following import refuse_other_partitions
from services.profile.items.indexing import InterestIndex
from services.profile.items.interest import longest_life, wanted_by
from services.profile.items.interest_store import InterestStore
from services.profile.rebuild import spool
from services.profile.rebuild.catching_up import CatchingUp
from services.profile.rebuild.filling import Filled, Shadow
from services.profile.rebuild.pool import Progress, fill_all, processes
from services.profile.rebuild.rules import standing_rules
from services.profile.rebuild.sources import Source, archived_ends, plan
from services.profile.rebuild.store import GenerationFiller
from services.profile.store import ProfileStore
from services.profile.store_keeping import Keeping
from shared import topics
from shared.bus_offsets import Commit, read_commits, topic_bounds, topic_shape
from shared.bus_read import RangeReader
from shared.errors import StoreUnavailable
from shared.generation import Generation, Pointer
from shared.generation_store import LEASE_MS, GenerationStore, RebuildUnderWay, new_token
from shared.keys import Keys
from shared.settings import Settings
from shared.store import ServerWatch, open_redis

log = logging.getLogger(__name__)

NEARLY: Final = 2_000
"""Facts of a round after which the live workers may take over: they fold those in a moment."""
MOST_ROUNDS: Final = 20
DURABLE_S: Final = 10.0
DURABLE_POLL_S: Final = 0.1
CACHED: Final = 20_000

Result = TypeVar("Result")


class Rebuilt(Struct, kw_only=True):
    """What `attune rebuild` prints. events: facts folded; customers: identities written.

    events_per_second: while folding and following, without the waits of steps 4 and 7;
    events_per_cpu_second: of this process and those that folded, their start included.
    """

    events: int
    customers: int
    events_per_second: float
    events_per_cpu_second: float
    malformed: int
    generation: str
    source: str
    processes: int
    seconds: dict[str, float]


class Rebuild:
    """One run. `grace_s`: how long the old generation is kept for those that still read it."""

    def __init__(
        self, settings: Settings, source: Source, *, grace_s: float, progress: Progress
    ) -> None:
        self._settings = settings
        self._source = source
        self._grace_s = grace_s
        self._progress = progress
        self._topic = topics.EVENTS.named(settings.namespace)
        self._seconds: dict[str, float] = {}
        self._swapped = False

    async def run(self) -> Rebuilt:
        """Raises RebuildUnderWay, LogTruncated, PartitionsChanged, RebuildFailed, Unavailable."""
        async with AsyncExitStack() as stack:
            watch = ServerWatch()
            self._redis = await stack.enter_async_context(open_redis(self._settings, watch=watch))
            volatile = self._settings.store_durability == "volatile"
            self._keeping = Keeping(self._redis, watch, volatile=volatile)
            # All nodes are met before anything is written: what one of them forgets then shows.
            await self._keeping.until()
            self._generations = GenerationStore(self._redis, self._settings.namespace)
            token = new_token()
            await self._generations.hold_lease(token)
            stack.push_async_callback(self._generations.release_lease, token)
            self._log = await stack.enter_async_context(RangeReader.open(self._settings))
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="attune-rebuild-"))
            working = asyncio.create_task(self._rebuild(token, Path(folder)))
            stack.push_async_callback(_ended, working)
            holding = asyncio.create_task(self._hold(token))
            stack.push_async_callback(_ended, holding)
            await asyncio.wait([working, holding], return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                holding.result()
            return await working

    async def _rebuild(self, token: str, folder: Path) -> Rebuilt:
        shape = await topic_shape(self._settings, self._topic)
        pointer = await self._generations.read()
        if pointer.live is not None:
            refuse_other_partitions(pointer.live, shape)
        bounds = await topic_bounds(self._settings, self._topic)
        archived = await asyncio.to_thread(
            archived_ends, self._settings, self._source, shape.incarnation, bounds
        )
        parts = plan(bounds, archived, await self._commits(pointer, shape.incarnation))
        removed = await self._generations.begin(token)
        shadow = Shadow(self._settings, token, shape.incarnation, removed, folder)
        filled = await self._timed("fold", fill_all(shadow, parts, self._progress))
        catching_up = await self._catching_up(shadow)
        catching_up.begin(parts, filled)
        await self._timed("follow", self._follow(catching_up))
        ends = await self._timed("wait", self._until_durable(catching_up))
        commits = await self._commits(pointer, shape.incarnation)
        starts = catching_up.starts(ends, commits)
        await catching_up.settle_outboxes(starts)
        await self._begin_items(shadow, shape.partitions)
        old = (await self._generations.read()).live
        await self._generations.swap(Generation(token, shape.incarnation, shape.partitions, starts))
        self._swapped = True
        log.info("the new generation is live", extra={"generation": token})
        if old is not None:
            await self._timed("remove", self._remove(old, shadow, ends))
        return self._result(shadow, filled, catching_up, bool(archived))

    async def _commits(self, pointer: Pointer, incarnation: str) -> Mapping[int, Commit]:
        """What live workers are done with. Those of another topic of that name say nothing."""
        if pointer.live is not None and pointer.live.incarnation != incarnation:
            return {}
        group = topics.named(topics.PROFILE_GROUP, self._settings.namespace)
        return await read_commits(self._settings, group, self._topic)

    async def _begin_items(self, shadow: Shadow, partitions: int) -> None:
        """Has live workers note the newest changes of items once more: what the old generation had
        waiting of them is not carried over, and what was decided is known by its cause."""
        rules, items = await standing_rules(self._settings)
        since = self._settings.clock.now_ms() - longest_life(rules.book)
        positions = dict.fromkeys(range(partitions), items.first_since(since))
        await InterestStore(self._redis, shadow.keys).move(positions, items.incarnation)

    async def _catching_up(self, shadow: Shadow) -> CatchingUp:
        store = ProfileStore(self._redis, shadow.keys, shadow.incarnation)
        rules, clock = (await standing_rules(self._settings)).rules, self._settings.clock
        index = InterestStore(self._redis, shadow.keys)
        interest = InterestIndex(index, lambda: wanted_by(rules.book), clock)
        applier = Applier(store, None, IdentityCache(CACHED), interest, lambda: rules, clock)
        return CatchingUp(shadow, store, applier, self._log)

    async def _follow(self, catching_up: CatchingUp) -> None:
        before = 0
        for number in range(MOST_ROUNDS):
            found = await self._round(catching_up)
            # Live workers of many cores may write faster than this one follows: then they end it.
            if found <= NEARLY or (number and found > 0.8 * before):
                return
            before = found

    async def _round(self, catching_up: CatchingUp) -> int:
        found = await catching_up.round(await topic_bounds(self._settings, self._topic))
        self._progress(found)
        return found

    async def _until_durable(self, catching_up: CatchingUp) -> Mapping[int, int]:
        """The ends of a round whose writes survive a crash; follows on until that is so."""
        ends = dict(catching_up.ends)
        async for _ in self._waits_for_disks():
            await self._round(catching_up)
        return ends

    async def _waits_for_disks(self) -> AsyncIterator[None]:
        """Turns of waiting until what was written before survives a crash, if it ever does."""
        written = time.monotonic()
        while await self._keeping.until() < written:
            if time.monotonic() > written + DURABLE_S:
                log.warning("Redis keeps nothing: after a crash, run `attune rebuild` again")
                return
            await asyncio.sleep(DURABLE_POLL_S)
            yield

    async def _remove(self, old: Generation, shadow: Shadow, ends: Mapping[int, int]) -> None:
        if self._settings.redis_cluster:
            # Nodes forget each on its own: the one with the pointer must not go back to a
            # generation that the others have removed.
            async for _ in self._waits_for_disks():
                pass
        await asyncio.sleep(self._grace_s)
        filler = GenerationFiller(self._redis, Keys(self._settings.namespace, old.token))
        for identities in spool.read(shadow.folder):
            await filler.remove_profiles(identities)
        bounds = await topic_bounds(self._settings, self._topic)
        for partition, start in ends.items():
            # What workers wrote to it before they noticed; some of these came only then.
            where = (self._topic, partition)
            async for records in self._log.read(where, start, bounds[partition].end):
                met = {(record.key or b"").decode(errors="replace") for record in records}
                await filler.remove_profiles(sorted(met))
        for partition in range(old.partitions):
            await filler.remove_partition(partition)

    async def _hold(self, token: str) -> None:
        """Raises RebuildUnderWay where this run slept so long that another one could begin. Once
        swapped it does no harm to that one, and goes on."""
        while True:
            await asyncio.sleep(LEASE_MS / 4_000)
            try:
                await self._generations.hold_lease(token)
            except StoreUnavailable:
                continue
            except RebuildUnderWay as error:
                if self._swapped:
                    return
                raise RebuildUnderWay(
                    f"this rebuild slept for more than {LEASE_MS // 1000} s, and another one has "
                    "begun since; this one changes nothing"
                ) from error

    async def _timed(self, what: str, work: Awaitable[Result]) -> Result:
        began = time.monotonic()
        try:
            return await work
        finally:
            self._seconds[what] = time.monotonic() - began

    def _result(
        self, shadow: Shadow, filled: Sequence[Filled], catching_up: CatchingUp, archived: bool
    ) -> Rebuilt:
        used = os.times()
        events = sum(found.facts for found in filled) + catching_up.facts
        return Rebuilt(
            events=events,
            customers=sum(found.identities for found in filled) + catching_up.identities,
            events_per_second=round(events / (self._seconds["fold"] + self._seconds["follow"]), 1),
            events_per_cpu_second=round(events / sum(used[:4]), 1),
            malformed=sum(found.malformed for found in filled),
            generation=shadow.token,
            source="archive and log" if archived else "log",
            processes=processes(len(filled)),
            seconds={what: round(spent, 3) for what, spent in self._seconds.items()},
        )


async def _ended(task: "asyncio.Task[Any]") -> None:
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.2)
