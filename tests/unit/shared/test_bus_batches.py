"""A batch compressed beforehand is, byte for byte, what aiokafka makes of it as it is sent."""

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from shared.bus_batches import CODECS, PackedBatch, pack_all

RECORDS = [(b"key-%d" % number, b"value %d" % number * 300) for number in range(20)]


def filled(batch: BatchBuilder) -> BatchBuilder:
    for key, value in RECORDS:
        batch.append(timestamp=1_790_000_000_000, key=key, value=value)
    return batch


@pytest.mark.parametrize("compression", CODECS)
@pytest.mark.parametrize("state", [(-1, -1, 0), (7, 0, 0), (2**40, 3, 123_456)])
async def test_packed_before_its_number_is_known(
    compression: str | None, state: tuple[int, int, int]
) -> None:
    codec = CODECS[compression]
    late = filled(BatchBuilder(100_000, codec))
    early = filled(PackedBatch(100_000, codec))
    assert isinstance(early, PackedBatch)
    await pack_all([early])
    for batch in (early, late):
        batch._set_producer_state(*state)
    packed = bytes(early._build())
    assert packed == bytes(late._build())
    batch = MemoryRecords(packed).next_batch()
    assert batch is not None
    assert batch.validate_crc()
    assert (batch.producer_id, batch.producer_epoch, batch.base_sequence) == state
    assert [(record.key, record.value) for record in batch] == RECORDS


async def test_packed_takes_no_more_records() -> None:
    batch = PackedBatch(100_000, CODECS["zstd"])
    batch.append(timestamp=None, key=b"a", value=b"b")
    await pack_all([batch])
    assert batch.append(timestamp=None, key=b"a", value=b"b") is None
    assert batch.record_count() == 1


def test_not_packed_it_is_made_as_it_is_sent() -> None:
    late, plain = (filled(kind(100_000, CODECS["zstd"])) for kind in (PackedBatch, BatchBuilder))
    for batch in (late, plain):
        batch._set_producer_state(7, 1, 5)
    assert bytes(late._build()) == bytes(plain._build())
