"""Reads the logs and the live state, and compares. Shell of `attune verify`, import and local."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from itertools import islice
from typing import Any, Final

from msgspec import Struct

from services.profile.identity import Identity
from services.profile.state import fingerprint
from services.profile.store import ProfileStore
from services.profile.verify.replay import Replay
from services.profile.verify.whole_log import whole_log
from services.profile.view import project
from shared import topics
from shared.bus import Record, group_lag, scan, topic_id
from shared.bus_offsets import read_commits, topic_bounds
from shared.generation import NO_GENERATION, Generation
from shared.generation_store import GenerationStore
from shared.headers import REASON, SRC, find
from shared.keys import Keys
from shared.profile import says
from shared.settings import Settings
from shared.store import open_redis

CHUNK: Final = 500
DIFFERENCES_SHOWN: Final = 10
ATTEMPTS: Final = 6
POLL_S: Final = 0.25

Progress = Callable[[int], object]
"""Called with the number of records just read."""


class Verification(Struct, kw_only=True):
    """What `attune verify` prints. `events`: facts in the log; `customers`: identities in it.

    lost, applied_twice: facts that the live profiles miss or count once too often; lost includes
    raw events of which nothing became anything. unpublished: facts that profiles state and the log
    does not have.
    """

    events: int
    customers: int
    equal: int
    different: int
    first_differences: list[dict[str, str]]
    balanced: bool
    lost: int
    applied_twice: int
    received: int
    applied: int
    deduplicated: int
    dead_lettered: dict[str, int]
    pending: int
    malformed: int
    unpublished: int


def _ignore(records: int) -> None:
    """Progress for nobody."""


async def read_log(settings: Settings, progress: Progress = _ignore) -> Replay:
    """Replays `events` and takes account of the raw topics and the dead letters.

    Raises LogTruncated when the start of `events` is gone and no archive has it.
    """
    replay = Replay()
    async for records in whole_log(settings):
        replay.feed(records)
        progress(len(records))
        await asyncio.sleep(0)
    for topic in topics.RAW:
        async for records in scan(settings, topic.named(settings.namespace), complete=False):
            for record in records:
                replay.accounts.received(_source(record))
            progress(len(records))
    dead = topics.DEAD_LETTERS.named(settings.namespace)
    async for records in scan(settings, dead, complete=False):
        for record in records:
            source = find(record.headers, SRC)
            if source is not None:
                reason = find(record.headers, REASON) or "unknown"
                replay.accounts.refused(source, reason)
        progress(len(records))
    return replay


def _source(record: Record) -> str:
    own = find(record.headers, SRC)
    return own if own is not None else f"{record.topic}/{record.partition}/{record.offset}"


async def wait_until_drained(settings: Settings, timeout_s: float) -> bool:
    """Waits until ingest and profile have committed all of their topics; False at the deadline."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    raw = [topic.named(settings.namespace) for topic in topics.RAW]
    ingest = topics.named(topics.INGEST_GROUP, settings.namespace)
    while True:
        lag = sum((await group_lag(settings, ingest, raw)).values())
        if not lag and not await profile_lag(settings):
            return True
        if asyncio.get_running_loop().time() > deadline:
            return False
        await asyncio.sleep(POLL_S)


async def profile_lag(settings: Settings) -> int:
    """Facts that profile has not committed for the generation that is live."""
    topic = topics.EVENTS.named(settings.namespace)
    group = topics.named(topics.PROFILE_GROUP, settings.namespace)
    live = await live_generation(settings)
    commits = await read_commits(settings, group, topic)
    return sum(
        bounds.end - max(bounds.begin, live.start(partition, commits.get(partition)) if live else 0)
        for partition, bounds in (await topic_bounds(settings, topic)).items()
    )


async def live_generation(settings: Settings) -> Generation | None:
    """The generation that recommend reads now."""
    async with open_redis(settings) as redis:
        return (await GenerationStore(redis, settings.namespace).read()).live


async def live_store(settings: Settings, redis: Any) -> ProfileStore:
    """The profiles of the live generation; empty where there is none."""
    live = (await GenerationStore(redis, settings.namespace).read()).live
    keys = Keys(settings.namespace, live.token if live else NO_GENERATION)
    incarnation = await topic_id(settings, topics.EVENTS.named(settings.namespace))
    return ProfileStore(redis, keys, incarnation)


async def verify(settings: Settings, progress: Progress = _ignore) -> Verification:
    """Compares every identity in the log with Redis, byte for byte.

    Call it on a drained system; while facts still arrive, what differs is read again, with the
    log: timers fire between the reading of the log and that of the store.
    """
    agreed: set[str] = set()
    async with open_redis(settings) as redis:
        previous = -1
        for _ in range(ATTEMPTS):
            replay = await read_log(settings, progress)
            # Only now: a rebuild may have removed what was live when the log was begun.
            store = await live_store(settings, redis)
            found = await compare(replay, store.load, store.views, agreed)
            waiting = found.different + found.unpublished
            if not waiting or replay.facts == previous:
                break
            previous = replay.facts
        return found


async def compare(
    replay: Replay,
    load: Callable[[Sequence[str]], Awaitable[dict[str, Identity]]],
    views: Callable[[Sequence[str]], Awaitable[dict[str, bytes]]],
    agreed: set[str],
) -> Verification:
    """Compares a replay with what the store holds. agreed: identities that were equal in an earlier
    comparison, which are not compared again; those that are now equal are added."""
    different: list[dict[str, str]] = []
    lost = twice = unpublished = 0
    for keys in _chunks(key for key in replay.identities if key not in agreed):
        live, live_views = await load(keys), await views(keys)
        for key in keys:
            reference = replay.identities[key].profile
            unpublished += len(live[key].outbox)
            gap = reference.component.events - live[key].profile.component.events
            lost, twice = lost + max(0, gap), twice + max(0, -gap)
            what = _difference(live[key], live_views[key], replay.identities[key])
            if what is not None:
                different.append({"customer": key, "what": what})
            elif not live[key].outbox:
                agreed.add(key)
    accounts = replay.accounts
    balance, count = accounts.balance(), len(replay.identities)
    return Verification(
        events=replay.facts,
        customers=count,
        equal=count - len(different),
        different=len(different),
        first_differences=different[:DIFFERENCES_SHOWN],
        balanced=balance.balanced,
        lost=lost + balance.pending,
        applied_twice=twice,
        received=balance.received,
        applied=balance.applied,
        deduplicated=balance.deduplicated,
        dead_lettered=accounts.dead_by_reason(),
        pending=balance.pending,
        malformed=replay.malformed,
        unpublished=unpublished,
    )


def _difference(live: Identity, live_view: bytes, reference: Identity) -> str | None:
    if not live.counter:
        return "not in the store"
    if fingerprint(live.profile) != fingerprint(reference.profile):
        return "state"
    if not says(live_view, project(reference.profile)):
        return "view"
    return None


def _chunks(keys: Iterator[str]) -> Iterator[list[str]]:
    while chunk := list(islice(keys, CHUNK)):
        yield chunk
