"""Where a rebuild reads each partition from: the log, or the archive to its end and then the log.

What is missing in between is refused: profiles without it would be wrong, and nobody would know.
"""

from collections.abc import Mapping
from typing import Final, Literal

from services.profile.rebuild.filling import Part
from shared.archive import ArchiveReader
from shared.bus_offsets import Bounds, Commit
from shared.errors import AttuneError, LogTruncated, NotFound
from shared.settings import Settings
from shared.topics import EVENTS

Source = Literal["auto", "log", "archive"]
SOURCES: Final[tuple[Source, ...]] = ("auto", "log", "archive")


class ArchiveOfAnotherTopic(AttuneError):
    """The archive was written from another incarnation of `events`: its offsets mean nothing."""

    code = "archive_of_another_topic"


def archived_ends(
    settings: Settings, source: Source, incarnation: str, bounds: Mapping[int, Bounds]
) -> dict[int, int]:
    """By partition, the offset up to which the archive is read; empty where only the log is.

    Blocking. Raises NotFound and ArchiveOfAnotherTopic where the archive is needed.
    """
    if source == "log" or (source == "auto" and not any(found.begin for found in bounds.values())):
        return {}
    try:
        reader = ArchiveReader.open(settings, EVENTS)
    except NotFound as error:
        if source == "archive":
            raise
        raise LogTruncated(f"the log's start is gone, and {error}") from error
    if reader.incarnation != incarnation:
        raise ArchiveOfAnotherTopic(
            f"the archive at {settings.archive} is of a topic with the id {reader.incarnation}, "
            f"and the topic events now has {incarnation}"
        )
    return reader.ends()


def plan(
    bounds: Mapping[int, Bounds],
    archived: Mapping[int, int],
    commits: Mapping[int, Commit],
) -> list[Part]:
    """What to fold, the largest partition first. Raises LogTruncated where there is a gap."""
    parts = []
    for partition, (begin, end) in bounds.items():
        until = min(archived.get(partition, 0), end)
        if until < begin:
            raise LogTruncated(
                f"partition {partition} of events begins at offset {begin}, and "
                + (f"the archive ends at {until}" if archived else "no archive is read")
                + f": {begin - until} facts are in neither"
            )
        commit = commits.get(partition)
        parts.append(Part(partition, until, end, min(end, commit.offset) if commit else 0))
    return sorted(parts, key=lambda part: -part.end)
