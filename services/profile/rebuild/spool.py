"""Identities met by a rebuild, on disk: their old keys are removed by name once nobody reads them.

One file for each writer, so that memory stays bounded by one partition. An identity may come twice.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

_LENGTH: Final = 4
_SUFFIX: Final = ".identities"


def append(folder: Path, name: str, identities: Sequence[str]) -> None:
    """Adds identities to the file of that name."""
    packed = msgspec.msgpack.encode(identities)
    with (folder / (name + _SUFFIX)).open("ab") as file:
        file.write(len(packed).to_bytes(_LENGTH, "big") + packed)


def read(folder: Path) -> Iterator[list[str]]:
    """All identities, as they were appended."""
    for path in sorted(folder.glob("*" + _SUFFIX)):
        with path.open("rb") as file:
            while length := file.read(_LENGTH):
                packed = file.read(int.from_bytes(length, "big"))
                yield msgspec.msgpack.decode(packed, type=list[str])
