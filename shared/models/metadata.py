"""What a model version says about itself: what it was made of, how it did, which files it has.

Written last of a version's files (store.py), so a version that has it is whole.
"""

from typing import Any, Final

import msgspec
from msgspec import Struct

from shared.errors import InvalidInput

FORMAT: Final = 2


class FileMark(Struct, frozen=True):
    """What a file must be: its length in bytes and its SHA-256 in hex."""

    bytes: int
    sha256: str


class PartMetadata(Struct, frozen=True):
    """One trained thing: its settings and figures, and its file of arrays."""

    facts: dict[str, Any]
    file: FileMark


class Metadata(Struct, kw_only=True):
    """What a version is and was made of.

    name: what ranks (as answers name it); trained_at: RFC 3339; data: counts and the range of event
    times (epoch ms); positions: next offset by partition of `events`, where the live tail takes
    over; config: how it was trained; metrics: on the held-out part. items, parts: filled by the
    store when it writes the files.
    """

    name: str
    version: str
    trained_at: str
    format: int = FORMAT
    data: dict[str, Any] = {}
    positions: dict[str, int] = {}
    config: dict[str, Any] = {}
    metrics: dict[str, Any] = {}
    items: FileMark | None = None
    parts: dict[str, PartMetadata] = {}


class _Format(Struct):
    format: int = 1


def encode(metadata: Metadata) -> bytes:
    """The metadata's JSON, for people too."""
    return msgspec.json.format(msgspec.json.encode(metadata), indent=2)


def decode(data: bytes, version: str) -> Metadata:
    """Raises InvalidInput where it is damaged, or of another format."""
    try:
        found = msgspec.json.decode(data, type=_Format).format
        if found == FORMAT:
            return msgspec.json.decode(data, type=Metadata)
    except msgspec.MsgspecError as error:
        raise InvalidInput(f"the model {version} is damaged: metadata.json: {error}") from None
    raise InvalidInput(
        f"the model {version} has format {found}, and this Attune reads {FORMAT}: `attune train`"
    )
