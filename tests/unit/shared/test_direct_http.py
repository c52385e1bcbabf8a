"""The shorter way below ASGI: whatever a client sends, it hears the same as through uvicorn."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import pytest

from shared.direct_http import DirectProtocol, Reply, direct_protocol
from shared.health import bind
from shared.serving import Server, server_of
from tests.fixtures.waiting import eventually

LARGEST: Final = 100
JSON: Final = (b"content-type", b"application/json")
HEAD: Final = b"POST /hot HTTP/1.1\r\nhost: test\r\n"
CHUNKED: Final = HEAD + b"transfer-encoding: chunked\r\n\r\n"


class Served:
    """An echo, both as an ASGI application and as a replier; `direct` counts the shorter way."""

    def __init__(self) -> None:
        self.direct = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for phase in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{phase}.complete"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await self.go_on.wait()
        said = self._echo(dict(scope["headers"]), body)
        headers = [JSON, (b"content-length", b"%d" % len(said))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": said})

    async def reply(self, headers: dict[bytes, bytes], body: bytes, _state: Any) -> Reply:
        self.direct += 1
        await self.go_on.wait()
        if body == b"break":
            raise RuntimeError("a replier that does not catch its errors")
        return 200, [JSON], self._echo(headers, body)

    @staticmethod
    def _echo(headers: dict[bytes, bytes], body: bytes) -> bytes:
        return b"%s|%s" % (headers.get(b"x-who", b"nobody"), body)


@asynccontextmanager
async def serving(
    served: Served, *, direct: bool = True, keep_alive_s: float = 30.0
) -> AsyncIterator[tuple[Server, int]]:
    protocol = direct_protocol({b"/hot": served.reply}, LARGEST) if direct else None
    server = server_of(served, stop_timeout_s=2, date_header=False, protocol=protocol)
    server.config.timeout_keep_alive = keep_alive_s  # type: ignore[assignment]
    with bind("127.0.0.1", 0) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            await eventually(lambda: server.started)
            yield server, listener.getsockname()[1]
        finally:
            server.should_exit = True
            await task


def post(body: bytes, *headers: bytes) -> bytes:
    lines = b"".join(header + b"\r\n" for header in headers)
    return HEAD + lines + b"content-length: %d\r\n\r\n%s" % (len(body), body)


async def hear(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], bytes]:
    """One answer: its first line, headers, body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    return head[0], headers, await reader.readexactly(int(headers["content-length"]))


async def say(port: int, parts: list[bytes], answers: int) -> list[Any]:
    """Send parts in writes of their own; the answers, and whether the server then hung up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for part in parts:
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0.01)
        heard: list[Any] = [await hear(reader) for _ in range(answers)]
        try:
            async with asyncio.timeout(0.1):
                heard.append(await reader.read(1))
        except TimeoutError:
            heard.append("open")
        return heard
    finally:
        writer.close()


CASES: Final[dict[str, tuple[list[bytes], int, int]]] = {
    # name: what is sent, answers, how many of these go the shorter way
    "whole": ([post(b"one", b"x-who: me")], 1, 1),
    "no body": ([post(b"")], 1, 1),
    "one after another": ([post(b"one"), post(b"two")], 2, 2),
    "byte by byte": ([bytes([byte]) for byte in post(b"slow")], 1, 1),
    "head, then body": ([post(b"late")[:-4], b"la", b"te"], 1, 1),
    "pipelined": ([post(b"a") + post(b"b") + post(b"c") + post(b"d")], 4, 1),
    "pipelined with another path": (
        [post(b"a") + b"GET /cold HTTP/1.1\r\n\r\n" + post(b"b")], 3, 1
    ),
    "chunked": ([CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"], 1, 0),
    "chunked with trailers": ([CHUNKED + b"3;x=y\r\nabc\r\n0\r\nt: u\r\n\r\n"], 1, 0),
    "too large": ([post(b"x" * (LARGEST + 1))], 1, 0),
    "as large as it may be": ([post(b"x" * LARGEST)], 1, 1),
    "query": ([b"POST /hot?x=1 HTTP/1.1\r\ncontent-length: 0\r\n\r\n"], 1, 0),
    "absolute": ([b"POST http://test/hot HTTP/1.1\r\ncontent-length: 0\r\n\r\n"], 1, 0),
    "other method": ([b"GET /hot HTTP/1.1\r\nhost: test\r\n\r\n"], 1, 0),
    "close": ([post(b"bye", b"connection: close")], 1, 1),
    "close, and more": ([post(b"bye", b"connection: close") + post(b"more")], 1, 1),
    "HTTP/1.0": ([post(b"old").replace(b"HTTP/1.1", b"HTTP/1.0")], 1, 1),
    "HTTP/1.0 that would stay": (
        [post(b"old", b"connection: keep-alive").replace(b"HTTP/1.1", b"HTTP/1.0")], 1, 1
    ),
    "upgrade": ([post(b"", b"connection: upgrade", b"upgrade: websocket")], 1, 0),
    "two lengths": ([post(b"abc", b"content-length: 3")], 1, 0),
    "length and chunks": ([CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\n")], 1, 0),
    "negative length": ([HEAD + b"content-length: -1\r\n\r\n"], 1, 0),
    "huge length": ([HEAD + b"content-length: 99999999999999999999\r\n\r\n"], 1, 0),
    "no HTTP": ([b"\x16\x03\x01 what is this\r\n\r\n"], 1, 0),
    "a header that folds": ([post(b"x", b"x-who: me", b"\tand me")], 1, 0),
    "malformed behind a good one": ([post(b"one"), b"POST \x00\r\n\r\n"], 2, 1),
    "header names in capitals": ([post(b"x", b"X-WHO: ME")], 1, 1),
    "the last of two headers counts": ([post(b"x", b"x-who: a", b"x-who: b")], 1, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_a_client_hears_what_uvicorn_would_say(name: str) -> None:
    parts, answers, direct = CASES[name]
    heard = []
    for way in (False, True):
        served = Served()
        async with serving(served, direct=way) as (_, port):
            heard.append(await say(port, parts, answers))
        assert served.direct == (direct if way else 0)
    assert heard[1] == heard[0]


async def test_expecting_100_is_told_to_continue() -> None:
    async with serving(Served()) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b"four", b"expect: 100-continue")[:-4])
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"four")
        assert (await hear(reader))[2] == b"nobody|four"
        writer.close()


async def test_a_quiet_connection_is_hung_up_on_and_a_busy_one_is_not() -> None:
    served = Served()
    async with serving(served, keep_alive_s=0.2) as (_, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        loop = asyncio.get_running_loop()
        begun = loop.time()
        while loop.time() - begun < 0.5:
            writer.write(post(b"again"))
            await hear(reader)
            await asyncio.sleep(0.02)
        served.go_on.clear()
        writer.write(post(b"takes long"))
        await asyncio.sleep(0.5)
        served.go_on.set()
        assert (await hear(reader))[2] == b"nobody|takes long"
        quiet = loop.time()
        assert await reader.read(1) == b""
        assert 0.1 < loop.time() - quiet < 1.0
        writer.close()


async def test_what_is_in_flight_is_answered_when_the_server_stops() -> None:
    served = Served()
    served.go_on.clear()
    async with serving(served) as (server, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(post(b"last"))
        await eventually(lambda: served.direct == 1)
        server.should_exit = True
        assert await idle.read(1) == b""
        served.go_on.set()
        line, headers, body = await hear(reader)
        assert (line, headers["connection"], body) == ("HTTP/1.1 200 OK", "close", b"nobody|last")
        assert await reader.read(1) == b""
        writer.close()
        idle_writer.close()


async def test_a_client_that_goes_away_leaves_the_others_alone() -> None:
    served = Served()
    served.go_on.clear()
    async with serving(served) as (server, port):
        _, gone = await asyncio.open_connection("127.0.0.1", port)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        gone.write(post(b"gone"))
        writer.write(post(b"here"))
        await eventually(lambda: served.direct == 2)
        gone.transport.abort()
        await eventually(lambda: len(server.server_state.connections) == 1)
        served.go_on.set()
        assert (await hear(reader))[2] == b"nobody|here"
        writer.close()


async def test_a_replier_that_fails_ends_the_connection(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with serving(Served()) as (_, port):
        heard = await say(port, [post(b"break")], 0)
        assert heard == [b""]
        assert (await say(port, [post(b"fine")], 1))[0][2] == b"nobody|fine"


async def test_a_client_that_does_not_read_holds_its_own_answers_back() -> None:
    served = Served()
    paused: list[bool] = []

    class Watched(DirectProtocol):
        repliers, largest = {b"/hot": served.reply}, LARGEST

        def pause_writing(self) -> None:
            paused.append(True)
            super().pause_writing()

    server = server_of(served, stop_timeout_s=1, date_header=False, protocol=Watched)
    served._echo = lambda _headers, _body: b"x" * 3_000_000  # type: ignore[method-assign]
    with bind("127.0.0.1", 0) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        await eventually(lambda: server.started)
        port = listener.getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_000)
        for _ in range(3):
            writer.write(post(b"much"))
            await asyncio.sleep(0.05)
        assert paused
        assert [len((await hear(reader))[2]) for _ in range(3)] == [3_000_000] * 3
        writer.close()
        server.should_exit = True
        await task
