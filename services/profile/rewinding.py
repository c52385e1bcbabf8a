"""Going back in the log: to the start of a batch, or to what the group has committed."""

from collections.abc import Iterable, Mapping, Sequence

from shared.bus import GroupConsumer, Record, TopicPartition


def rewind(consumer: GroupConsumer, records: Mapping[TopicPartition, Sequence[Record]]) -> None:
    """Makes records come again, as far as their partitions are still this member's."""
    assigned = consumer.assigned()
    for partition, batch in records.items():
        if partition in assigned:
            consumer.seek(partition, batch[0].offset)


async def rewind_to_committed(
    consumer: GroupConsumer, partitions: Iterable[TopicPartition]
) -> None:
    """Makes everything come again that is not committed: what the store may have forgotten."""
    for partition in set(partitions) & consumer.assigned():
        consumer.seek(partition, await consumer.committed(partition) or 0)
