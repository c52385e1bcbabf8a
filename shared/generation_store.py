"""The generation pointer in Redis: read by everybody, minted by profile, moved by rebuild.

Every move is one script on one key, so a reader sees the old generation or the new one, whole.
"""

import asyncio
import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

from redis.exceptions import RedisError

from shared.errors import AttuneError, StoreForgot, StoreUnavailable
from shared.generation import NO_GENERATION, Generation, Pointer, parse_pointer, pointer_fields
from shared.keys import Keys, generation_pointer, rebuild_lease
from shared.store import AnotherServer

POLL_S: Final = 0.1
LEASE_MS: Final = 10_000
"""A rebuild that died is over for the next one after this long."""

_log = logging.getLogger(__name__)

# ARGV: the fields of a live generation. The first one to say so wins.
_MINT: Final = """
if redis.call('HGET', KEYS[1], 'live') then return 0 end
redis.call('HSET', KEYS[1], unpack(ARGV))
return 1
"""

# ARGV: token. A shadow that another run left goes to the retired ones, whose keys are to go. That
# run may only sleep, and write on for a moment when it wakes: so its keys go twice, see `late`.
_BEGIN: Final = """
local left = redis.call('HGET', KEYS[1], 'shadow')
local retired = redis.call('HGET', KEYS[1], 'retired') or ''
if left then
  retired = retired .. ' ' .. left
  local late = redis.call('HGET', KEYS[1], 'late') or ''
  redis.call('HSET', KEYS[1], 'late', late .. ' ' .. left)
end
redis.call('HSET', KEYS[1], 'shadow', ARGV[1], 'retired', retired)
return retired
"""

# ARGV: token, then its fields. Refused where another run has begun since.
_SWAP: Final = """
if redis.call('HGET', KEYS[1], 'shadow') ~= ARGV[1] then return 0 end
local live = redis.call('HGET', KEYS[1], 'live') or ''
for _, name in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.sub(name, 1, 5) == 'from:' then redis.call('HDEL', KEYS[1], name) end
end
local late = redis.call('HGET', KEYS[1], 'late') or ''
redis.call('HDEL', KEYS[1], 'shadow', 'late')
redis.call('HSET', KEYS[1], 'retired', live .. late, unpack(ARGV, 2))
return 1
"""

# ARGV: token, milliseconds. Takes the lease, or keeps it.
_LEASE: Final = """
local holder = redis.call('GET', KEYS[1])
if holder and holder ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""

_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 1
"""


class RebuildUnderWay(AttuneError):
    """Another rebuild fills a generation, or did until some seconds ago."""

    code = "rebuild_under_way"


class GenerationStore:
    """The pointer of one deployment. Every method raises StoreUnavailable, and StoreForgot where
    the client has its server watched."""

    def __init__(self, client: Any, namespace: str) -> None:
        self._client = client
        self._pointer = generation_pointer(namespace)
        self._lease = rebuild_lease(namespace)

    async def read(self) -> Pointer:
        """The whole pointer."""
        with _translated():
            return parse_pointer(await self._client.hgetall(self._pointer))

    async def live_token(self) -> str:
        """The token of the live generation, empty where there is none; cheap enough to poll."""
        with _translated():
            token = await self._client.hget(self._pointer, "live")
        return "" if token is None else token.decode()

    async def mint(self, incarnation: str, partitions: int) -> Generation:
        """The first generation of a deployment, or the one that somebody else made just before."""
        made = Generation(new_token(), incarnation, partitions)
        await self._run(_MINT, self._pointer, *_flat(made))
        live = (await self.read()).live
        if live is None:
            raise StoreUnavailable("Redis lost the generation pointer right after it was written")
        return live

    async def begin(self, token: str) -> tuple[str, ...]:
        """Names the generation that is built now; returns those whose keys should go first."""
        retired: bytes = await self._run(_BEGIN, self._pointer, token)
        return tuple(retired.decode().split())

    async def hold_lease(self, token: str) -> None:
        """Takes or prolongs the one lease of rebuilds. Raises RebuildUnderWay."""
        if not await self._run(_LEASE, self._lease, token, LEASE_MS):
            raise RebuildUnderWay(
                "another rebuild is under way; one that was killed is over for good "
                f"{LEASE_MS // 1000} s later"
            )

    async def release_lease(self, token: str) -> None:
        """Lets the next rebuild begin at once."""
        await self._run(_RELEASE, self._lease, token)

    async def swap(self, generation: Generation) -> None:
        """Makes the generation being built the live one. Raises RebuildUnderWay where another
        run has taken its place."""
        fields = _flat(generation)
        if not await self._run(_SWAP, self._pointer, generation.token, *fields):
            raise RebuildUnderWay("another rebuild has begun since; this one changes nothing")

    async def _run(self, script: str, key: str, *arguments: str | int) -> Any:
        with _translated():
            return await self._client.eval(script, 1, key, *arguments)


def new_token() -> str:
    """Names a generation."""
    return secrets.token_hex(4)


def _flat(generation: Generation) -> Sequence[str | int]:
    return [part for pair in pointer_fields(generation).items() for part in pair]


class LiveKeys:
    """The keys of the live generation as last read, for whoever only reads profiles.

    Invariant: `keys` always names some generation; one that is gone holds nothing, which reads as
    an unknown shopper.
    """

    def __init__(self, client: Any, namespace: str) -> None:
        self._store = GenerationStore(client, namespace)
        self._namespace = namespace
        self.keys = Keys(namespace, NO_GENERATION)

    async def refresh(self) -> None:
        """Looks which generation is live. Raises StoreUnavailable."""
        token = await self._store.live_token()
        if token and token != self.keys.generation:
            _log.info("another generation is live", extra={"generation": token})
            self.keys = Keys(self._namespace, token)

    async def follow(self) -> None:
        """Looks ten times a second until cancelled; a store that is away is waited for."""
        while True:
            try:
                await self.refresh()
            except StoreUnavailable as error:
                _log.debug("generation not read", extra={"code": error.code})
            await asyncio.sleep(POLL_S)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except AnotherServer as error:
        raise StoreForgot(str(error)) from error
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreUnavailable(f"Redis: {type(error).__name__}") from error
