"""The path of a request, from top to bottom: who asks, the body, its events, their records, the
log's acknowledgement, the answer."""

import asyncio
import time
from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import msgspec

from services.ingest.collector.body import decompress, read_body
from services.ingest.collector.budget import Budget, Hold
from services.ingest.collector.judge import (
    Arrival,
    Format,
    RawRecord,
    Result,
    judge,
    remembering,
    sent_at,
)
from services.ingest.collector.log import RawLog
from services.ingest.collector.metrics import CollectorMetrics
from services.ingest.collector.settings import CollectorSettings
from services.ingest.collector.split import (
    Parts,
    split_native,
    split_segment_batch,
    split_segment_call,
)
from shared.auth import EVENTS, KeyRing, Principal
from shared.clock import Clock, real_now_ms
from shared.errors import TooLarge, Unauthenticated

IDENTITY_TOKEN: Final = "attune-identity-token"  # noqa: S105  (a header's name)
EVENTS_PER_TURN: Final = 100
"""Events judged before other requests get their turn on the event loop."""

Shape: TypeAlias = Literal[
    "events", "batch", "track", "identify", "page", "screen", "alias", "group"
]


class Answer(msgspec.Struct):
    """The body of a 200: one result per event, in the request's order, and how many of each."""

    results: list[Result]
    accepted: int
    dead_lettered: int
    rejected: int


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, without the web framework. Header names are lower case."""

    shape: Shape
    headers: Mapping[str, str]
    key: str | None
    chunks: AsyncIterable[bytes]

    @property
    def format(self) -> Format:
        """The format of its events."""
        return "native" if self.shape == "events" else "segment"


class Intake:
    """Takes requests. Everything it needs is handed to it, opened."""

    def __init__(
        self,
        settings: CollectorSettings,
        clock: Clock,
        ring: KeyRing,
        log: RawLog,
        metrics: CollectorMetrics,
        *,
        currency: str | None = None,
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._ring = ring
        self._log = log
        self._metrics = metrics
        self._currency = currency
        self.budget = Budget(events=settings.in_flight_events, bytes_=settings.in_flight_bytes)

    async def take(self, asked: Asked) -> Answer:
        """The answer, once the log has every event that is not rejected.

        Raises AttuneError: Unauthenticated, Forbidden, InvalidInput, TooLarge, Busy, Unavailable.
        """
        with self.budget.hold() as hold:
            authorization = asked.headers.get("authorization")
            caller = None
            # Only Segment's bodies may carry the key: everybody else is refused before reading on.
            if authorization or asked.key or asked.format == "native":
                caller = self._caller(authorization, asked.key)
            parts = self._split(asked, await self._body(asked, hold))
            if caller is None:
                caller = self._caller(None, parts.write_key)
            hold.add_events(len(parts.events))
            self._metrics.batch_events.observe(len(parts.events))
            results, records = await self._judged(parts, self._arrival(asked, caller, parts))
            await self._append(records)
        return self._answer(results)

    def _caller(self, authorization: str | None, key: str | None) -> Principal:
        caller = self._ring.authenticate(authorization, key)
        caller.require(EVENTS)
        return caller

    async def _body(self, asked: Asked, hold: Hold) -> bytes:
        limit = self._settings.max_batch_bytes
        body = await read_body(
            asked.chunks,
            content_length=asked.headers.get("content-length"),
            limit=limit,
            timeout_s=self._settings.body_timeout_s,
            on_bytes=hold.add_bytes,
        )
        inflated = decompress(body, asked.headers.get("content-encoding"), limit)
        if inflated is not body:
            hold.add_bytes(len(inflated))
        return inflated

    def _split(self, asked: Asked, body: bytes) -> Parts:
        limit = self._settings.max_batch_events
        if asked.shape == "events":
            content_type = asked.headers.get("content-type", "").partition(";")[0].strip().lower()
            return split_native(body, content_type, limit)
        if asked.shape == "batch":
            return split_segment_batch(body, limit)
        if len(body) > self._settings.max_event_bytes:
            raise self._event_too_large()
        return split_segment_call(body, asked.shape)

    def _arrival(self, asked: Asked, caller: Principal, parts: Parts) -> Arrival:
        token = asked.headers.get(IDENTITY_TOKEN)
        at = real_now_ms()
        return Arrival(
            format=asked.format,
            received_at=self._clock.at_real(at),
            at=at,
            max_bytes=self._settings.max_event_bytes,
            trusted=caller.may_identify,
            sent_at=sent_at(parts),
            subject=None if token is None else self._ring.subject(token),
            currency=self._currency,
        )

    async def _judged(self, parts: Parts, arrival: Arrival) -> tuple[list[Result], list[RawRecord]]:
        if len(parts.events) == 1 and len(parts.events[0]) > arrival.max_bytes:
            raise self._event_too_large()
        prove = remembering(self._prove)
        results: list[Result] = []
        records: list[RawRecord] = []
        for index, event in enumerate(parts.events):
            result, record = judge(event, index, arrival, prove)
            results.append(result)
            if record is not None:
                records.append(record)
            if index % EVENTS_PER_TURN == EVENTS_PER_TURN - 1:
                await asyncio.sleep(0)
        return results, records

    def _prove(self, token: str) -> str | None:
        """A token inside an event is a claim of that event: one that fails proves nothing."""
        try:
            return self._ring.subject(token)
        except Unauthenticated:
            self._metrics.token_refusals.inc()
            return None

    async def _append(self, records: list[RawRecord]) -> None:
        if not records:
            return
        started = time.perf_counter()
        await self._log.append(records)
        self._metrics.ack_seconds.observe(time.perf_counter() - started)

    def _answer(self, results: list[Result]) -> Answer:
        counts = {"accepted": 0, "dead_lettered": 0, "rejected": 0}
        for result in results:
            counts[result.status] += 1
            if result.status != "accepted":
                self._metrics.events.labels(result.status, result.reason or "").inc()
        if counts["accepted"]:
            self._metrics.events.labels("accepted", "").inc(counts["accepted"])
        return Answer(results=results, **counts)

    def _event_too_large(self) -> TooLarge:
        return TooLarge(f"an event over HTTP has at most {self._settings.max_event_bytes} bytes")
