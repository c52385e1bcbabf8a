"""Generations of the keys in Redis: which one is live, of which log, from where workers read it.

The pointer (`shared.keys.generation_pointer`) names the live one; `generation_store` reads and
moves it. Invariant: what a generation holds of partition p is the fold of its log up to some
offset that is not before `start(p)`, so a worker that begins there skips nothing. Pure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

NO_GENERATION: Final = "none"
"""Stands in keys where no generation was ever made: nothing lies there."""
_FROM: Final = "from:"


@dataclass(frozen=True, slots=True)
class Generation:
    """One generation. incarnation, partitions: id and size of the topic `events` it folds.

    starts: partition → offset at which workers that have committed nothing for it begin.
    """

    token: str
    incarnation: str
    partitions: int
    starts: Mapping[int, int] = field(default_factory=dict)

    def start(self, partition: int, committed: tuple[int, str] | None) -> int:
        """Where to begin: a committed (offset, token) counts for the generation it names only."""
        if committed is not None and committed[1] == self.token:
            return committed[0]
        return self.starts.get(partition, 0)


@dataclass(frozen=True, slots=True)
class Pointer:
    """The pointer as it was read. shadow: the generation being built, or of a build that died;

    retired: generations of which keys may still lie about.
    """

    live: Generation | None = None
    shadow: str = ""
    retired: tuple[str, ...] = ()


def parse_pointer(fields: Mapping[bytes, bytes]) -> Pointer:
    """The pointer from its hash; empty where there is none."""
    texts = {name.decode(): value.decode() for name, value in fields.items()}
    token = texts.get("live")
    return Pointer(
        live=None
        if not token
        else Generation(
            token=token,
            incarnation=texts["incarnation"],
            partitions=int(texts["partitions"]),
            starts={
                int(name.removeprefix(_FROM)): int(value)
                for name, value in texts.items()
                if name.startswith(_FROM)
            },
        ),
        shadow=texts.get("shadow", ""),
        retired=tuple(texts.get("retired", "").split()),
    )


def pointer_fields(generation: Generation) -> dict[str, str | int]:
    """What the pointer's hash says of a live generation."""
    fields: dict[str, str | int] = {
        "live": generation.token,
        "incarnation": generation.incarnation,
        "partitions": generation.partitions,
    }
    return fields | {f"{_FROM}{number}": offset for number, offset in generation.starts.items()}
