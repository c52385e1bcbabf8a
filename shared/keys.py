"""Every Redis key that Attune uses: one function each, with type, lifetime, writer and erasure.

All keys of one identity share a hash tag, so Redis Cluster keeps them on one node.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one deployment; `namespace` lets several share a server."""

    namespace: str = ""

    def _tagged(self, tag: str, kind: str) -> str:
        prefix = f"{self.namespace}:" if self.namespace else ""
        return f"{prefix}attune:{{{tag}}}:{kind}"

    def profile(self, identity: str) -> str:
        """Hash, kept until erased. Written by profile (compare-and-set on field `n`).

        Fields: n write counter, v view, s state, p positions, d dedupe window, o outbox,
        t real ms at which the newest folded event was accepted. Erasure deletes it.
        """
        return self._tagged(identity, "profile")

    def claim(self) -> str:
        """String, kept. Written by profile at its first start: without it the store was emptied."""
        return self._tagged("deployment", "claim")

    def item_position(self, partition: int) -> str:
        """String, kept: incarnation of `events` / offset up to which its item statistics stand."""
        return self._tagged(f"items.{partition}", "position")

    def item_bucket(self, partition: int, bucket: int) -> str:
        """Hash item → packed counts of one time bucket; expires. No customer in it."""
        return self._tagged(f"items.{partition}", f"bucket:{bucket}")

    def item_buckets(self, partition: int) -> str:
        """Sorted set of the buckets that a partition holds, by bucket number."""
        return self._tagged(f"items.{partition}", "buckets")

    def timers(self, partition: int) -> str:
        """Sorted set identity → due business ms. An index: stale entries are harmless."""
        return self._tagged(f"timers.{partition}", "due")
