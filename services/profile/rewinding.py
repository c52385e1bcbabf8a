"""Going back in the log to the start of a batch, so that it comes again."""

from collections.abc import Mapping, Sequence

from shared.bus import GroupConsumer, Record, TopicPartition


def rewind(consumer: GroupConsumer, records: Mapping[TopicPartition, Sequence[Record]]) -> None:
    """Makes records come again, as far as their partitions are still this member's."""
    assigned = consumer.assigned()
    for partition, batch in records.items():
        if partition in assigned:
            consumer.seek(partition, batch[0].offset)
