"""A request's body, taken in whole before anything of it is applied.

A body that breaks off, is no gzip or is too large is refused as a whole, with nothing written. A
large one waits in a temporary file, so many uploads do not fill the memory.
"""

import tempfile
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO, Final

from starlette.requests import ClientDisconnect, Request

from shared.errors import InvalidInput, TooLarge

IN_MEMORY: Final = 1_048_576
STEP: Final = 262_144
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


@asynccontextmanager
async def received(request: Request, limit: int) -> AsyncIterator[IO[bytes]]:
    """The body as a file at its beginning, decompressed, at most `limit` bytes of it.

    Gzip is known by its Content-Encoding or its first bytes. Raises TooLarge, InvalidInput.
    """
    with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
        sink = _Sink(file, limit)
        try:
            async for chunk in request.stream():
                sink.write(chunk)
        except ClientDisconnect:
            raise InvalidInput("the body broke off") from None
        sink.close()
        file.seek(0)
        yield file


async def body(request: Request, limit: int) -> bytes:
    """A small body, decompressed. Raises TooLarge, InvalidInput."""
    async with received(request, limit) as file:
        return file.read()


class _Sink:
    """Writes what comes in, inflated where it is gzip; never inflates beyond the limit."""

    def __init__(self, file: IO[bytes], limit: int) -> None:
        self._file = file
        self._limit = limit
        self._left = limit
        self._head = b""
        self._begun = False
        self._gzip = False
        self._inflater = zlib.decompressobj(_GZIP_WINDOW)

    def write(self, chunk: bytes) -> None:
        if not self._begun:
            self._head += chunk
            if len(self._head) < 2:
                return
            chunk, self._head, self._begun = self._head, b"", True
            self._gzip = chunk.startswith(b"\x1f\x8b")
        if self._gzip:
            self._inflate(chunk)
        else:
            self._keep(chunk)

    def close(self) -> None:
        if self._head:
            self._keep(self._head)
        if self._gzip and not self._inflater.eof:
            raise InvalidInput("the gzip body is truncated")

    def _inflate(self, chunk: bytes) -> None:
        while chunk:
            if self._inflater.eof:  # one gzip stream may follow another
                self._inflater = zlib.decompressobj(_GZIP_WINDOW)
            try:
                self._keep(self._inflater.decompress(chunk, STEP))
            except zlib.error:
                raise InvalidInput("the body is not valid gzip") from None
            chunk = self._inflater.unconsumed_tail or self._inflater.unused_data

    def _keep(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise TooLarge(f"a body has at most {self._limit} bytes, decompressed")
        self._file.write(data)
