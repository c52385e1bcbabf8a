"""What every client of the log shares: values, time-outs, patience at start, errors in our terms.

Below `bus` (producer), `bus_group` (members of groups), `bus_read` (readers without a group) and
`bus_admin` (topics). Only these modules, `shared/bus*.py`, import aiokafka.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from aiokafka import errors as kafka

from shared.bus_lenient import read_leniently
from shared.errors import AttuneError, LogUnavailable, Rebalanced, TooLarge, UnknownTopic
from shared.headers import Headers
from shared.settings import Settings

REQUEST_S: Final = 8.0
"""How long one request to the broker may take before it counts as failed."""
START_S: Final = 20.0
"""How long a starting client waits for a broker that is not there yet."""
STOP_S: Final = 5.0
RETRY_S: Final = 0.25
MAX_MESSAGE_BYTES: Final = 1_048_576
PARTITION_FETCH_BYTES: Final = 2 * MAX_MESSAGE_BYTES
FETCH_BYTES: Final = 16 * MAX_MESSAGE_BYTES
"""What one broker's answer may bring at most, and so what a consumer holds ahead of its caller:
nothing more is fetched of a partition before that has been polled."""

# It logs each failed attempt of its own, many a second; what matters is raised as an error as well.
logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
read_leniently()

TopicPartition = tuple[str, int]
"""Name of the topic on the broker (namespace included) and partition number."""


class Position(NamedTuple):
    """Where a record lies in the log."""

    topic: str
    partition: int
    offset: int


class Record(Protocol):
    """One record as it was read. `timestamp` is the producer's real epoch milliseconds."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def timestamp(self) -> int: ...


_MOVED: Final = (
    kafka.CommitFailedError,
    kafka.IllegalStateError,
    kafka.IllegalGenerationError,
    kafka.UnknownMemberIdError,
    kafka.RebalanceInProgressError,
)


def mended(error: BaseException, settings: Settings) -> AttuneError:
    """The error of ours that says what an aiokafka error means to a caller."""
    text = str(error) or type(error).__name__
    if isinstance(error, kafka.MessageSizeTooLargeError | kafka.RecordListTooLargeError):
        return TooLarge(f"the log takes records of at most {MAX_MESSAGE_BYTES} bytes")
    if isinstance(error, _MOVED):
        return Rebalanced(f"the partition is no longer this member's ({text})")
    if isinstance(error, kafka.UnknownTopicOrPartitionError):
        return UnknownTopic(f"the log at {settings.bootstrap} has no such topic or partition")
    if isinstance(error, TimeoutError):
        text = "no answer in time"
    return LogUnavailable(f"the log at {settings.bootstrap} does not answer ({text})")


FAILURES: Final = (kafka.KafkaError, OSError, TimeoutError)
"""What aiokafka raises when a broker does not do as asked."""


@contextmanager
def translated(settings: Settings) -> Iterator[None]:
    """Turns whatever aiokafka raises inside into an AttuneError."""
    try:
        yield
    except FAILURES as error:
        raise mended(error, settings) from error


Client = TypeVar("Client")


@asynccontextmanager
async def started(
    settings: Settings, create: Callable[[], Client], *, wait_s: float
) -> AsyncIterator[Client]:
    """A started aiokafka client, stopped at the end; a broker that is down is waited for.

    A client that failed to start cannot be started again, so each attempt makes a new one.
    Raises LogUnavailable, naming the address, when no broker answers within `wait_s` seconds.
    """
    client = await start(settings, create, wait_s)
    try:
        yield client
    finally:
        await stop(client)


async def start(settings: Settings, create: Callable[[], Client], wait_s: float) -> Client:
    """As `started`, for a caller that stops the client itself."""
    deadline = asyncio.get_running_loop().time() + wait_s
    while True:
        client: Any = create()
        try:
            left_s = deadline - asyncio.get_running_loop().time()
            # Bounded however patient the caller is: one attempt may hang where the next works.
            async with asyncio.timeout(min(max(1.0, left_s), START_S)):
                await client.start()
        except FAILURES as error:
            await stop(client)
            if asyncio.get_running_loop().time() + RETRY_S >= deadline:
                raise LogUnavailable(
                    f"no Kafka broker answers at {settings.bootstrap} (waited {wait_s:g} s)"
                ) from error
            await asyncio.sleep(RETRY_S)
        except BaseException:
            await stop(client)
            raise
        else:
            return client  # type: ignore[no-any-return]


async def stop(client: Any) -> None:
    """Stops a client within a bounded time, whatever state its broker is in."""
    closing: Callable[[], Awaitable[None]] = getattr(client, "stop", None) or client.close
    try:
        async with asyncio.timeout(STOP_S):
            await closing()
    except FAILURES:
        # An idempotent producer retries for ever and would wait for it.
        if hasattr(client, "_sender"):
            await cut(client)
    else:
        _fail_what_is_left(client)


async def cut(client: Any) -> None:
    """Ends a producer's client without waiting for its broker; what it holds fails."""
    client._closed = True
    ending = asyncio.create_task(client._sender.close())
    deadline = asyncio.get_running_loop().time() + STOP_S
    await client.client.close()
    while not ending.done() and asyncio.get_running_loop().time() < deadline:
        # The sender ends after its requests, which wait for metadata that nobody fetches any more.
        metadata = client.client._md_update_fut
        if metadata is not None and not metadata.done():
            metadata.set_result(False)
        await asyncio.wait([ending], timeout=0.02)
    ending.cancel()
    with suppress(asyncio.CancelledError, *FAILURES):
        await ending
    _fail_what_is_left(client)


def _fail_what_is_left(client: Any) -> None:
    held = getattr(client, "_message_accumulator", None)
    if held is None:
        return
    batches = [batch for queue in held._batches.values() for batch in queue]
    batches += held._pending_batches
    held._closed = True
    for batch in batches:
        batch.failure(kafka.KafkaError("not acknowledged in time"))
        # Nobody waits for room in a batch that has failed: its error is told by its records.
        if batch._drain_waiter.done():
            batch._drain_waiter.exception()


def common(settings: Settings) -> dict[str, Any]:
    """Arguments that every aiokafka client of ours takes."""
    return {
        "bootstrap_servers": settings.bootstrap,
        "client_id": "attune",
        "request_timeout_ms": int(REQUEST_S * 1000),
    }


def fetching(settings: Settings) -> dict[str, Any]:
    """Arguments of every consumer: offsets are ours to commit, and nothing is skipped."""
    return common(settings) | {
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "fetch_max_wait_ms": settings.fetch_wait_ms,
        "fetch_max_bytes": FETCH_BYTES,
        "max_partition_fetch_bytes": PARTITION_FETCH_BYTES,
    }


async def check(client: Any, settings: Settings) -> None:
    """Raises LogUnavailable unless a broker answers this aiokafka client now."""
    with translated(settings):
        async with asyncio.timeout(2):
            await client.fetch_all_metadata()
