"""After the fold: follows the log into the new generation until the live workers take over.

In rounds, each to the end of the log as it stands, through the same steps as a live worker, with
nothing published. What a live worker must still publish is kept account of.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from services.profile.applying import Applied, Applier
from services.profile.rebuild import spool
from services.profile.rebuild.filling import Filled, Part, Shadow
from services.profile.rebuild.folding import standing
from services.profile.store import ProfileStore
from shared import events as facts
from shared.bus import Record
from shared.bus_offsets import Bounds, Commit
from shared.bus_read import RangeReader
from shared.topics import EVENTS

CHUNK: Final = 500


class CatchingUp:
    """ends: partition → offset up to which the generation is folded; facts, identities: added."""

    def __init__(
        self, shadow: Shadow, store: ProfileStore, applier: Applier, log: RangeReader
    ) -> None:
        self.ends: dict[int, int] = {}
        self.facts = 0
        self.identities = 0
        self._shadow = shadow
        self._store = store
        self._applier = applier
        self._log = log
        self._first_unpublished: dict[int, int] = {}
        self._waiting: dict[str, int] = {}

    def begin(self, parts: Iterable[Part], filled: Iterable[Filled]) -> None:
        """Goes on where the fold of whole partitions ended."""
        self.ends = {part.partition: part.end for part in parts}
        for found in filled:
            if found.first_unpublished is not None:
                self._first_unpublished[found.partition] = found.first_unpublished
            self._waiting |= dict.fromkeys(found.waiting, found.partition)

    async def round(self, bounds: Mapping[int, Bounds]) -> int:
        """Folds to the ends as they stand; returns how many facts that were."""
        before = self.facts
        topic = EVENTS.named(self._shadow.settings.namespace)
        for partition, start in self.ends.items():
            end = bounds[partition].end
            async for records in self._log.read((topic, partition), start, end):
                await self._apply(topic, partition, records)
            if end > start:
                # Markers of transactions take offsets as well, and live workers begin behind them.
                await self._applier.pass_over(partition, end - 1)
            self.ends[partition] = max(start, end)
        return self.facts - before

    async def _apply(self, topic: str, partition: int, records: Sequence[Record]) -> None:
        applied = await self._applier.apply({(topic, partition): records})
        self.facts += len(records) - applied.decoded.malformed
        self.identities += sum(one.counter == 1 for one in applied.identities.values())
        spool.append(self._shadow.folder, "followed", list(applied.identities))
        self._account(partition, applied)

    def _account(self, partition: int, applied: Applied) -> None:
        for key, effect in applied.effects.items():
            if effect.forwarded:
                self._waiting[key] = partition
            if effect.forwarded or effect.messages:
                offset = applied.decoded.deliveries[key][0].offset
                first = self._first_unpublished.get(partition, offset)
                self._first_unpublished[partition] = min(first, offset)

    def starts(self, ends: Mapping[int, int], commits: Mapping[int, Commit]) -> dict[int, int]:
        """Where live workers begin each partition: at `ends`, or at the first fact of which
        something is not yet published: what is committed was published."""
        found = {}
        for partition, end in ends.items():
            first = self._first_unpublished.get(partition, end)
            commit = commits.get(partition)
            found[partition] = min(end, max(first, commit.offset if commit else 0))
        return found

    async def settle_outboxes(self, starts: Mapping[int, int]) -> None:
        """Takes out of the outboxes what was published before the live workers' start; what the
        log refused for its size stays."""
        waiting = list(self._waiting)
        for place in range(0, len(waiting), CHUNK):
            found = await self._store.load(waiting[place : place + CHUNK])
            changed = []
            for key, identity in found.items():
                start = starts[self._waiting[key]]
                large = {entry.fact_id for entry in standing(identity.outbox)}
                kept = [
                    entry
                    for entry in identity.outbox
                    if entry.fact_id in large or _caused_at(entry.value) >= start
                ]
                if len(kept) < len(identity.outbox):
                    identity.outbox = kept
                    changed.append(identity)
            await self._store.save(changed)
        self._applier.forget()


def _caused_at(value: bytes) -> int:
    fact = facts.decode(value)
    assert isinstance(fact, facts.ProfileAbsorbed)  # noqa: S101  (a rebuild states nothing else)
    return int(fact.through.rpartition("/")[2])
