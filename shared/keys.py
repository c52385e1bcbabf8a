"""Every Redis key that Attune uses: one function each, with type, lifetime, writer and erasure.

All keys of one identity share a hash tag, so Redis Cluster keeps them on one node. All keys but
`generation_pointer` and `rebuild_lease` carry a generation: `attune rebuild` fills the next one
beside the one that is live, then moves the pointer.
"""

from dataclasses import dataclass, field
from typing import Final

COUNTRY_MARK: Final = "\x1f"
"""Stands between an item and a country in the fields of an item bucket."""


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one generation of a deployment; `namespace` lets several share a server."""

    namespace: str
    generation: str
    _prefix: str = field(init=False, repr=False)

    def __post_init__(self) -> None:
        prefix = f"{self.namespace}:" if self.namespace else ""
        object.__setattr__(self, "_prefix", f"{prefix}attune:{self.generation}:")

    def profile(self, identity: str) -> str:
        """Hash, kept until erased. Written by profile (compare-and-set on field `n`).

        Fields: n write counter, v view, s state, p positions, d dedupe window, o outbox,
        t real ms at which the newest folded event was accepted, w moments that may come (absent
        where there are none). Erasure deletes it.
        """
        return f"{self._prefix}{{{identity}}}:profile"

    def item_position(self, partition: int) -> str:
        """String, kept: incarnation of `events` / offset up to which its item statistics stand."""
        return f"{self._prefix}{{items.{partition}}}:position"

    def item_bucket(self, partition: int, bucket: int) -> str:
        """Hash item → packed counts of one time bucket; expires. No customer in it.

        Beside the items, and part of the same counts, `item COUNTRY_MARK country`.
        """
        return f"{self._prefix}{{items.{partition}}}:bucket:{bucket}"

    def item_buckets(self, partition: int) -> str:
        """Sorted set of the buckets that a partition holds, by bucket number."""
        return f"{self._prefix}{{items.{partition}}}:buckets"

    def timers(self, partition: int) -> str:
        """Sorted set identity → due business ms. An index: stale entries are harmless."""
        return f"{self._prefix}{{timers.{partition}}}:due"

    def interested(self, partition: int, item: str) -> str:
        """Sorted set customer id → until when and by what interested; expires a year after the last
        one came. Written by profile. An index: an entry of somebody without a profile begins
        nothing; erasure takes it out, of each of `interest_items`, or it falls out in its time."""
        return f"{self._prefix}{{interest.{partition}}}:item:{item}"

    def interest_items(self, partition: int) -> str:
        """Set of the items that a partition holds interested customers of."""
        return f"{self._prefix}{{interest.{partition}}}:items"

    def catalogue_position(self, partition: int) -> str:
        """String, kept: incarnation of `catalogue` / next offset whose change is to be handled for
        this partition's customers."""
        return f"{self._prefix}{{interest.{partition}}}:position"


def generation_pointer(namespace: str) -> str:
    """Hash, kept: which generation is live, and of which log. Written by profile and rebuild.

    Fields: live, incarnation, partitions, from:<partition>; while one is built, shadow; retired:
    tokens whose keys may still lie about.
    """
    return _of_deployment(namespace, "generation")


def rebuild_lease(namespace: str) -> str:
    """String, expires: the token of the generation that a running rebuild fills."""
    return _of_deployment(namespace, "rebuild")


def _of_deployment(namespace: str, kind: str) -> str:
    prefix = f"{namespace}:" if namespace else ""
    return f"{prefix}attune:{{deployment}}:{kind}"
