"""Redis keys: what is written together lies on one node of a cluster, and shops stay apart."""

from collections.abc import Callable

import pytest

from shared.keys import Keys, generation_pointer, rebuild_lease

KEYS = Keys("", "g1")


def tag(key: str) -> str:
    """The hash tag, as Redis Cluster reads it: between the first brace and the next closing one."""
    return key[key.index("{") + 1 : key.index("}")]


def test_an_identity_is_one_key_with_its_own_hash_tag() -> None:
    assert tag(KEYS.profile("c:alice")) == "c:alice"
    assert KEYS.profile("c:sam") != KEYS.profile("a:sam")


def test_the_item_statistics_of_a_partition_share_a_hash_tag() -> None:
    keys = KEYS
    together = [keys.item_position(3), keys.item_buckets(3), keys.item_bucket(3, 99)]
    assert len({tag(key) for key in together}) == 1
    assert tag(keys.item_position(4)) != tag(keys.item_position(3))


def test_a_partitions_index_of_interest_shares_a_hash_tag() -> None:
    together = [KEYS.interested(3, "lamp"), KEYS.interest_items(3), KEYS.catalogue_position(3)]
    assert len({tag(key) for key in together}) == 1
    assert len(set(together)) == 3
    assert tag(KEYS.interested(4, "lamp")) != tag(KEYS.interested(3, "lamp"))


@pytest.mark.parametrize(
    "key",
    [
        lambda keys: keys.profile("c:alice"),
        lambda keys: keys.item_position(0),
        lambda keys: keys.timers(0),
        lambda keys: keys.interested(0, "lamp"),
        lambda keys: keys.interest_items(0),
        lambda keys: keys.catalogue_position(0),
    ],
)
def test_namespaces_keep_shops_apart(key: Callable[[Keys], str]) -> None:
    assert len({key(Keys(shop, "g1")) for shop in ("one", "two", "")}) == 3
    assert key(Keys("one", "g1")) != key(Keys("one", "g2"))


@pytest.mark.parametrize("key", [generation_pointer, rebuild_lease])
def test_what_belongs_to_the_deployment_carries_no_generation(key: Callable[[str], str]) -> None:
    assert tag(key("one")) == "deployment"
    assert len({key("one"), key("two"), key("")}) == 3
