"""The raw topics as ingest found them: one that is made anew in the meantime is refused.

A raw event is known by its `src`, topic/partition/offset. In another topic of the same name other
events have the same positions: those below the committed offset would be skipped in silence. So
each commit names the topic's id, a process ends when a topic gets another id, and a group that has
committed for another id is refused. (Apache Kafka drops a group's offsets with the topic: then the
next process begins at the new topic's start.)
"""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from shared.bus import TopicPartition, topic_id
from shared.bus_offsets import read_commits
from shared.errors import AttuneError
from shared.settings import Settings

Offsets: TypeAlias = dict[TopicPartition, int]


class RecreatedTopic(AttuneError):
    """A raw topic is not the one that the group has read."""

    code = "recreated_topic"


class RawTopics:
    """The ids of the raw topics. Open with `find`."""

    def __init__(self, settings: Settings, group: str, ids: Mapping[str, str]) -> None:
        self._settings = settings
        self._group = group
        self._ids = ids

    @classmethod
    async def find(cls, settings: Settings, group: str, topics: Sequence[str]) -> "RawTopics":
        """Raises RecreatedTopic where the group has read another topic of that name,
        LogUnavailable."""
        found = cls(settings, group, {name: await topic_id(settings, name) for name in topics})
        for name in topics:
            commits = await read_commits(settings, group, name)
            found._refuse(name, *(commit.metadata for commit in commits.values()))
        return found

    async def check(self) -> None:
        """Raises RecreatedTopic where one has been made anew since `find`."""
        for name in self._ids:
            self._refuse(name, await topic_id(self._settings, name))

    def by_id(self, offsets: Offsets) -> dict[str, Offsets]:
        """Offsets to commit, by the id to commit beside them."""
        found: dict[str, Offsets] = {}
        for partition, offset in offsets.items():
            found.setdefault(self._ids[partition[0]], {})[partition] = offset
        return found

    def _refuse(self, name: str, *ids: str) -> None:
        # Commits of earlier releases name no id.
        if any(ids) and set(ids) - {"", self._ids[name]}:
            raise RecreatedTopic(
                f"the topic {name} was made anew since the group {self._group} read it: other "
                "events have the positions of those before. Delete that group's offsets to begin "
                "with the new topic, or use another ATTUNE_NAMESPACE"
            )
