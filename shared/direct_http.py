"""uvicorn's HTTP protocol with a shorter way for the busiest requests, below ASGI.

A POST to one of the named paths whose body has a declared length, small enough, on a connection
that owes no other answer, is handed over whole once it has come, and answered in one write.
Everything else (other paths and methods, chunked bodies, pipelined requests, upgrades, what is
malformed) goes uvicorn's way, and the application answers it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

Header: TypeAlias = tuple[bytes, bytes]
Reply: TypeAlias = tuple[int, list[Header], bytes]
"""Status, headers without content-length, body."""
Replier: TypeAlias = Callable[[dict[bytes, bytes], bytes, dict[str, Any]], Awaitable[Reply]]
"""Answers headers (by lower-case name) and body, with the state that the lifespan left."""

LONGEST_LENGTH: Final = 7
"""Digits of a content-length that is looked at."""


class _Exchange:
    """A request on the shorter way and its answer, as uvicorn's protocol sees a cycle."""

    __slots__ = (
        "body", "disconnected", "headers", "keep_alive", "message_event",
        "more_body", "replier", "response_complete",
    )  # fmt: skip

    def __init__(self, replier: Replier, headers: list[Header], *, keep_alive: bool) -> None:
        self.replier = replier
        self.headers = headers
        self.keep_alive = keep_alive
        self.body = b""
        self.more_body = True
        self.disconnected = False
        self.response_complete = False
        self.message_event = _NOBODY_WAITS


class _NobodyWaits:
    """In the place of the event by which a cycle's application is woken."""

    def set(self) -> None: ...


_NOBODY_WAITS: Final = _NobodyWaits()


class DirectProtocol(HttpToolsProtocol):
    """One connection. `repliers` by path and `largest`, the body's size that is taken, are set by
    `direct_protocol`."""

    repliers: Mapping[bytes, Replier] = {}
    largest = 0
    _quiet_since: float | None = None
    """Since when the connection has owed nothing and heard nothing, in the loop's seconds."""

    def _unset_keepalive_if_required(self) -> None:
        """The timer of a quiet connection goes on: setting and cancelling one at each request is a
        fifth of what a request costs here."""
        self._quiet_since = None

    def on_response_complete(self) -> None:
        """The next request of the pipeline, or quiet."""
        if self.timeout_keep_alive_task is None or self.pipeline or self.transport.is_closing():
            super().on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.flow.resume_reading()
        self._quiet_since = self.loop.time()

    def timeout_keep_alive_handler(self) -> None:
        """Hang up if the connection was quiet for the whole time; else look again."""
        since, now = self._quiet_since, self.loop.time()
        left = self.timeout_keep_alive - (0.0 if since is None else now - since)
        if left <= 0:
            super().timeout_keep_alive_handler()
        else:
            self.timeout_keep_alive_task = self.loop.call_later(
                left, self.timeout_keep_alive_handler
            )

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever is answered now learns that nobody listens."""
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def on_message_begin(self) -> None:
        """A request begins; what ASGI needs of it is made only where it goes that way."""
        self.url = b""
        self.headers = []
        self.expect_100_continue = False

    def on_headers_complete(self) -> None:
        """Choose the way."""
        replier = self.repliers.get(self.url)
        if replier is None or not self._goes_directly():
            url, headers, expects = self.url, self.headers, self.expect_100_continue
            super().on_message_begin()
            self.url, self.expect_100_continue = url, expects
            self.headers[:] = headers
            super().on_headers_complete()
            return
        kept = self.parser.get_http_version() != "1.0" and self.parser.should_keep_alive()
        exchange = _Exchange(replier, self.headers, keep_alive=kept)
        self.cycle = exchange  # type: ignore[assignment]  # has what the protocol asks of a cycle

    def _goes_directly(self) -> bool:
        cycle, parser = self.cycle, self.parser
        if cycle is not None and not cycle.response_complete:
            return False
        if parser.get_method() != b"POST" or self.expect_100_continue or parser.should_upgrade():
            return False
        lengths = [value for name, value in self.headers if name == b"content-length"]
        if len(lengths) != 1 or any(name == b"transfer-encoding" for name, _ in self.headers):
            return False
        length = lengths[0]
        return length.isdigit() and len(length) <= LONGEST_LENGTH and int(length) <= self.largest

    def on_message_complete(self) -> None:
        """The body is whole: answer it."""
        exchange: object = self.cycle
        if not isinstance(exchange, _Exchange):
            super().on_message_complete()
        elif exchange.more_body:
            exchange.more_body = False
            task = self.loop.create_task(self._reply(exchange))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)

    async def _reply(self, exchange: _Exchange) -> None:
        try:
            status, headers, body = await exchange.replier(
                dict(exchange.headers), bytes(exchange.body), self.app_state
            )
        except BaseException:
            self.transport.close()
            raise
        if self.flow.write_paused:
            await self.flow.drain()
        if self.transport.is_closing():
            return
        lines = [STATUS_LINE[status]]
        for name, value in (*self.server_state.default_headers, *headers):
            lines += (name, b": ", value, b"\r\n")
        if not exchange.keep_alive:
            lines.append(b"connection: close\r\n")
        lines += (b"content-length: %d\r\n\r\n" % len(body), body)
        exchange.response_complete = True
        self.transport.write(b"".join(lines))
        if not exchange.keep_alive:
            self.transport.close()
        self.on_response_complete()


def direct_protocol(repliers: Mapping[bytes, Replier], largest: int) -> type[DirectProtocol]:
    """The protocol for these paths; `largest`: bytes of a body that are taken the shorter way."""
    return type("DirectProtocol", (DirectProtocol,), {"repliers": repliers, "largest": largest})
