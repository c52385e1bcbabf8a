"""Keys lie where every other client of Apache Kafka looks for them."""

from random import Random

from aiokafka.partitioner import DefaultPartitioner

from shared.partitioning import choose, murmur2


def test_it_is_the_hash_of_the_java_client() -> None:
    # from the tests of org.apache.kafka.common.utils.Utils, as unsigned numbers
    known = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536}

    assert {key: murmur2(key) for key in known} == {
        key: mixed % (1 << 32) for key, mixed in known.items()
    }


def test_every_key_lies_where_it_lay_before() -> None:
    draw, theirs = Random(1), DefaultPartitioner()
    keys = [draw.randbytes(length) for length in range(64) for _ in range(20)]

    for count in (1, 7, 16):
        partitions = list(range(count))
        for key in keys:
            assert choose(key, partitions, partitions) == theirs(key, partitions, partitions)


def test_without_a_key_an_available_partition() -> None:
    assert choose(None, [0, 1, 2], [2]) == 2
    assert choose(None, [1], []) == 1
