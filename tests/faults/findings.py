"""What a run left behind, and what is found wrong with it: what the witness is given and gives."""

from dataclasses import dataclass, field
from typing import Any, Final

from tests.faults.truth import Account, Raw

SHOWN: Final = 10


@dataclass(slots=True)
class Evidence:
    """raw: in the order of each partition; facts: source → keys of its copies in `events`; ids:
    source → event ids of those copies; dead: source → reasons; decided: the decisions' facts in
    log order; messages: topic → (id, bytes) of each message; heard: id → contents that the
    subscriber was given, None where none listened; accounts: by identity, as stored; items:
    counts by item."""

    raw: list[Raw] = field(default_factory=list)
    facts: dict[str, set[str]] = field(default_factory=dict)
    ids: dict[str, set[str]] = field(default_factory=dict)
    dead: dict[str, set[str]] = field(default_factory=dict)
    decided: list[dict[str, Any]] = field(default_factory=list)
    messages: dict[str, list[tuple[str, bytes]]] = field(default_factory=dict)
    heard: dict[str, set[bytes]] | None = None
    accounts: dict[str, Account] = field(default_factory=dict)
    items: dict[str, list[int]] = field(default_factory=dict)


@dataclass(slots=True)
class Findings:
    """lost, applied_twice: raw events of which nothing became anything, and events that profiles
    miss or count once too often; held, released: triggers that waited, and of these, those that
    were sent; wrong: what else is not as it must be, by name."""

    lost: int = 0
    applied_twice: int = 0
    decisions_expected: int = 0
    decisions_found: int = 0
    decisions_missing: int = 0
    messages_missing: int = 0
    held: int = 0
    released: int = 0
    id_conflicts: int = 0
    raw: int = 0
    distinct: int = 0
    dead: int = 0
    identities: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)

    def note(self, name: str, example: str) -> None:
        """One thing that is not as it must be."""
        self.wrong[name] = self.wrong.get(name, 0) + 1
        if len(self.examples) < SHOWN:
            self.examples.append(f"{name}: {example}")
