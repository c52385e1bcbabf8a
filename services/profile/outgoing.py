"""Records on their way out of profile, and which of them the log refuses for their size.

Below `publisher`. One record that does not fit must not keep a partition waiting for ever.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from shared.bus import Acknowledgement, Producer
from shared.errors import TooLarge
from shared.headers import Headers


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record. `ordered`: it must not pass an earlier one of its topic and key."""

    topic: str
    key: bytes
    value: bytes
    headers: Headers
    ordered: bool = False


async def send(producer: Producer, records: Sequence[Outgoing]) -> list[int]:
    """Returns once the log has the records, but for those it refuses: their numbers.

    With a refused record all later ordered ones of its key stay behind as well. Raises
    LogUnavailable: then nothing is known, and all are to be sent again.
    """
    sent: list[Acknowledgement] = []
    try:
        for record in records:
            # What follows must not arrive without what has failed.
            if producer.failed:
                break
            sent.append(await _send(producer, record))
        await producer.flush()
    except TooLarge:
        arrived = {number for number, each in enumerate(sent) if each.arrived}
        return await _one_by_one(producer, records, arrived)
    return []


async def _one_by_one(
    producer: Producer, records: Sequence[Outgoing], arrived: Collection[int]
) -> list[int]:
    """The log refuses batches: only a record that is refused alone is itself too large."""
    refused: list[int] = []
    behind: set[tuple[str, bytes]] = set()
    for number, record in enumerate(records):
        if number in arrived:
            continue
        if record.ordered and (record.topic, record.key) in behind:
            refused.append(number)
            continue
        try:
            await _send(producer, record)
            await producer.flush()
        except TooLarge:
            refused.append(number)
            behind.add((record.topic, record.key))
    return refused


async def _send(producer: Producer, record: Outgoing) -> Acknowledgement:
    return await producer.send(record.topic, record.value, key=record.key, headers=record.headers)
