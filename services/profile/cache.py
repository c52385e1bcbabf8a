"""Identities that this process wrote last, kept so that their next event needs no read.

Safe because a write is refused when somebody else wrote in between; then the identity is dropped
here and read anew. An identity that was folded but not written must be dropped, never kept.
"""

from collections import OrderedDict
from collections.abc import Iterable

from services.profile.identity import Identity


class IdentityCache:
    """At most `capacity` identities, the least recently used dropped first."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._identities: OrderedDict[str, Identity] = OrderedDict()

    def __len__(self) -> int:
        return len(self._identities)

    def take(self, keys: Iterable[str]) -> dict[str, Identity]:
        """Those of `keys` that are held, taken out: who changes them puts them back."""
        taken = {}
        for key in keys:
            identity = self._identities.pop(key, None)
            if identity is not None:
                taken[key] = identity
        return taken

    def put(self, identities: Iterable[Identity]) -> None:
        """Holds identities whose state is exactly what was written."""
        for identity in identities:
            self._identities[identity.key] = identity
        while len(self._identities) > self._capacity:
            self._identities.popitem(last=False)

    def clear(self) -> None:
        """Forgets everything."""
        self._identities.clear()
