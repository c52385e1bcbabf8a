"""Reads records whose header names are not UTF-8, which the log takes and aiokafka cannot decode.

Below `bus_connection`, for every consumer. The fast reader of aiokafka goes first; where it fails,
the same answer of the broker is read on from that record by aiokafka's reader in plain Python,
with bytes that decode leniently. So one such record costs its fetch some time, and ends nobody.
Such a name comes with `\\xff` spelt out, and is therefore none of ours.
"""

import struct
from typing import Any, Final, SupportsIndex

from aiokafka.consumer import fetcher
from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords, _MemoryRecordsPy

_MAGIC_AT: Final = struct.calcsize(">qii")
_WITH_HEADERS: Final = 2


class _LenientBytes(bytearray):
    """Any part of it can be decoded."""

    def __getitem__(self, part: SupportsIndex | slice) -> Any:
        found = super().__getitem__(part)
        return _LenientBytes(found) if isinstance(part, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return super().decode(encoding, "backslashreplace")


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    _buffer: Any

    def __iter__(self) -> Any:
        self._maybe_uncompress()
        self._buffer = _LenientBytes(self._buffer)
        return self


class _LenientRecords(_MemoryRecordsPy):  # type: ignore[misc]
    def next_batch(self) -> Any:
        found = self._next_slice
        if found is None or found[_MAGIC_AT] < _WITH_HEADERS:
            return super().next_batch()
        self._cache_next()
        return _LenientBatch(found)


class _Answer:
    """What the broker sent of one partition, for either reader."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        fast = MemoryRecords(data)
        self.has_next = fast.has_next
        self.next_batch = fast.next_batch
        self.size_in_bytes = fast.size_in_bytes


class _Records(fetcher.PartitionRecords):  # type: ignore[misc]
    _records: Any
    _records_iterator: Any

    def __next__(self) -> Any:
        try:
            return next(self._records_iterator)
        except UnicodeDecodeError:
            # From the start of the answer: what was handed on lies before `next_fetch_offset`.
            self._records = _LenientRecords(self._records.data)
            self._records_iterator = self._unpack_records()
            return next(self._records_iterator)


def read_leniently() -> None:
    """Makes every consumer of this process read so. There is no argument to hand it in by."""
    fetcher.MemoryRecords = _Answer
    fetcher.PartitionRecords = _Records
