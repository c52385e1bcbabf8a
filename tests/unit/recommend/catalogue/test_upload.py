"""Bodies in pieces, plain and gzip, whole and broken."""

import gzip
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from services.recommend.catalogue.upload import body
from shared.errors import InvalidInput, TooLarge

LIMIT = 3_000_000


def request(chunks: Iterable[bytes], *, breaks_off: bool = False) -> Request:
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks
    ]
    last = {"type": "http.disconnect"} if breaks_off else {"type": "http.request", "body": b""}
    waiting = iter([*messages, last])

    async def receive() -> Any:
        return next(waiting)

    return Request({"type": "http", "method": "POST", "headers": []}, receive)


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(data=st.binary(max_size=400), size=st.integers(1, 50), streams=st.integers(1, 3))
async def test_gzip_in_any_pieces(data: bytes, size: int, streams: int) -> None:
    sent = gzip.compress(data, mtime=0) * streams
    assert await body(request(pieces(sent, size)), LIMIT) == data * streams


@pytest.mark.parametrize("data", [b"", b"a", b"\x1f", b"plain text" * 100_000])
async def test_what_is_no_gzip_is_taken_as_it_is(data: bytes) -> None:
    assert await body(request(pieces(data, 65_536)), LIMIT) == data


async def test_a_truncated_gzip_is_refused() -> None:
    with pytest.raises(InvalidInput, match="truncated"):
        await body(request([gzip.compress(b"a" * 1_000)[:-9]]), LIMIT)


async def test_garbage_after_a_gzip_header_is_refused() -> None:
    with pytest.raises(InvalidInput, match="not valid gzip"):
        await body(request([b"\x1f\x8b" + b"garbage" * 10]), LIMIT)


async def test_a_body_that_breaks_off_is_refused() -> None:
    with pytest.raises(InvalidInput, match="broke off"):
        await body(request([b"half"], breaks_off=True), LIMIT)


@pytest.mark.parametrize("sent", [b"a" * 1_001, gzip.compress(b"a" * 10_000_000)])
async def test_nothing_is_inflated_beyond_the_limit(sent: bytes) -> None:
    with pytest.raises(TooLarge, match="1000 bytes"):
        await body(request([sent]), 1_000)
