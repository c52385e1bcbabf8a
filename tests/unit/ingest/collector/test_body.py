"""Bodies: bounded while they are read and while they inflate."""

import asyncio
import gzip
import tracemalloc
from collections.abc import AsyncIterator

import pytest

from services.ingest.collector.body import decompress, read_body
from services.ingest.collector.errors import MalformedBody, UnsupportedEncoding
from shared.errors import TooLarge

LIMIT = 1_000


async def chunks(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def read(
    source: AsyncIterator[bytes], *, length: str | None = None, wait: float = 5
) -> bytes:
    return await read_body(
        source, content_length=length, limit=LIMIT, timeout_s=wait, on_bytes=lambda _: None
    )


async def test_chunks_are_put_together() -> None:
    assert await read(chunks(b"a", b"", b"bc")) == b"abc"
    assert await read(chunks()) == b""


async def test_a_body_at_the_limit_is_taken_and_one_byte_more_is_not() -> None:
    assert len(await read(chunks(b"x" * LIMIT))) == LIMIT
    with pytest.raises(TooLarge):
        await read(chunks(b"x" * LIMIT, b"y"))


async def test_a_declared_length_is_refused_before_reading() -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("read")
        yield b""

    with pytest.raises(TooLarge):
        await read(never(), length=str(LIMIT + 1))


async def test_a_body_that_does_not_arrive_is_given_up() -> None:
    async def slow() -> AsyncIterator[bytes]:
        yield b"a"
        await asyncio.Event().wait()

    with pytest.raises(MalformedBody, match="did not arrive"):
        await read(slow(), wait=0.01)


def test_gzip_is_inflated() -> None:
    packed = gzip.compress(b"hello")
    assert decompress(packed, "gzip", LIMIT) == b"hello"
    assert decompress(packed, " GZIP ", LIMIT) == b"hello"
    assert decompress(packed + gzip.compress(b" you"), "gzip", LIMIT) == b"hello you"
    assert decompress(b"plain", None, LIMIT) == b"plain"
    assert decompress(b"plain", "identity", LIMIT) == b"plain"


def test_the_bound_counts_after_decompression() -> None:
    assert len(decompress(gzip.compress(b"x" * LIMIT), "gzip", LIMIT)) == LIMIT
    with pytest.raises(TooLarge):
        decompress(gzip.compress(b"x" * (LIMIT + 1)), "gzip", LIMIT)
    half = gzip.compress(b"x" * 600)
    with pytest.raises(TooLarge):
        decompress(half + half, "gzip", LIMIT)


def test_a_bomb_is_not_inflated() -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge):
            decompress(bomb, "gzip", LIMIT)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cut", [1, 9, 10, 15, -9, -8, -1])
def test_truncated_gzip_is_malformed(cut: int) -> None:
    with pytest.raises(MalformedBody):
        decompress(gzip.compress(b"hello, hello, hello")[:cut], "gzip", LIMIT)


@pytest.mark.parametrize("body", [b"", b"{}", b"\x1f\x8b", gzip.compress(b"x") + b"rubbish"])
def test_what_is_no_gzip_is_malformed(body: bytes) -> None:
    with pytest.raises(MalformedBody):
        decompress(body, "gzip", LIMIT)


def test_other_encodings_are_refused_as_such() -> None:
    with pytest.raises(UnsupportedEncoding):
        decompress(b"x", "br", LIMIT)
