"""First step of a request: its body, read and decompressed within bounds."""

import asyncio
import zlib
from collections.abc import AsyncIterable, Callable
from typing import Final

from services.ingest.collector.errors import MalformedBody, UnsupportedEncoding
from shared.errors import TooLarge

_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


async def read_body(
    chunks: AsyncIterable[bytes],
    *,
    content_length: str | None,
    limit: int,
    timeout_s: float,
    on_bytes: Callable[[int], None],
) -> bytes:
    """The whole body. `on_bytes` hears of each chunk before it is kept, and may refuse it.

    Raises TooLarge beyond `limit` bytes, MalformedBody where it does not arrive in `timeout_s`.
    """
    if content_length is not None and content_length.isdigit() and int(content_length) > limit:
        raise _too_large(limit)
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in chunks:
                size += len(chunk)
                if size > limit:
                    raise _too_large(limit)
                on_bytes(len(chunk))
                parts.append(chunk)
    except TimeoutError:
        raise MalformedBody(f"the body did not arrive within {timeout_s:g} s") from None
    return parts[0] if len(parts) == 1 else b"".join(parts)


def decompress(body: bytes, encoding: str | None, limit: int) -> bytes:
    """The body without its Content-Encoding, at most `limit` bytes; never inflates beyond that.

    Raises TooLarge, MalformedBody (truncated or no gzip), UnsupportedEncoding.
    """
    name = (encoding or "identity").strip().lower()
    if name == "identity":
        return body
    if name not in {"gzip", "x-gzip"}:
        raise UnsupportedEncoding("Content-Encoding is gzip, or absent")
    members: list[bytes] = []
    left = limit
    rest = body
    while rest:
        inflater = zlib.decompressobj(_GZIP_WINDOW)
        try:
            member = inflater.decompress(rest, left + 1)
        except zlib.error:
            raise MalformedBody("the body is not valid gzip") from None
        left -= len(member)
        if left < 0:
            raise _too_large(limit)
        if not inflater.eof:
            raise MalformedBody("the gzip body is truncated")
        members.append(member)
        rest = inflater.unused_data
    if not members:
        raise MalformedBody("the gzip body is empty")
    return b"".join(members)


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"a request carries at most {limit} bytes of events, decompressed")
