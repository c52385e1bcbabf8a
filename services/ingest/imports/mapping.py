"""A declared mapping: how the rows of an export become facts. Read from YAML, checked, no code.

main reads it, `row` and `orders` follow it. Its digest is part of the ledger's key, because the
same file through another mapping gives other facts.
"""

import hashlib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec
import yaml
from msgspec import Meta, Struct

from services.ingest.imports.mapping_errors import converted
from services.ingest.imports.mapping_rules import check
from shared.errors import InvalidInput

Name: TypeAlias = Annotated[str, Meta(pattern="^[a-z][a-z0-9_]*$", max_length=64)]
Number: TypeAlias = int | float


class Column(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where a field of a fact comes from, and how its text is read.

    column: its name in the file (JSON lines: a path such as `properties.sku`), or a `constant`.
    type: money becomes minor units of the mapping's currency, unless its `unit` is minor already.
    format (time): iso, epoch_s, epoch_ms, or a pattern such as `%d/%m/%Y %H:%M`.
    case: ids that differ by case alone are one.
    """

    column: str | None = None
    constant: str | int | None = None
    type: Literal["text", "integer", "number", "money", "time"] = "text"
    unit: Literal["major", "minor"] = "major"
    format: str = "iso"
    case: Literal["upper", "lower"] | None = None


class Test(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What must hold for a field; several tests must all hold. Money is compared in minor units.

    A field that is empty fails every test but `empty: true` and `not_matches`.
    matches, not_matches: a regular expression for the whole text.
    """

    matches: str | None = None
    not_matches: str | None = None
    one_of: list[str | int] | None = None
    at_most: Number | None = None
    at_least: Number | None = None
    empty: bool | None = None


class Exclusion(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Rows that no fact is made of, counted under `reason`; the first that fits names it."""

    reason: Name
    when: Annotated[dict[str, Test], Meta(min_length=1)]


class FactRule(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which fact a row is, or is a line of: the first rule that fits. negate: fields to negate."""

    type: str
    when: dict[str, Test] = {}
    negate: list[str] = []


class Mapping(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The whole mapping.

    records: `mapped` (columns become facts) or `segment` (each line goes down as it is).
    time_zone: of times that name none. A time that the change to summer time skips is read as if
    clocks had not changed yet (it moves forward); one that occurs twice is the first of the two.
    group_by: the field whose equal values make rows the lines of one order. within: how many rows
    apart such rows may lie; it bounds memory. without_customer: the anonymous id of a row that
    names nobody, with fields in braces. catalogue: make the items known, too.
    """

    format: Literal["csv", "jsonl"]
    records: Literal["mapped", "segment"] = "mapped"
    encoding: str = "utf-8"
    delimiter: Annotated[str, Meta(min_length=1, max_length=1)] = ","
    time_zone: str = "UTC"
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] | None = None
    columns: dict[str, Column] = {}
    exclude: list[Exclusion] = []
    facts: list[FactRule] = []
    group_by: str | None = None
    within: Annotated[int, Meta(ge=1, le=10_000_000)] = 10_000
    without_customer: str | None = None
    catalogue: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of what the mapping says, in hex: comments and layout do not count."""
        return hashlib.sha256(msgspec.json.encode(self, order="deterministic")).hexdigest()


SHIPPED: Final = resources.files("services.ingest.imports") / "mappings"


def shipped() -> list[str]:
    """Names of the mappings that come with Attune."""
    return sorted(
        entry.name.removesuffix(".yaml")
        for entry in SHIPPED.iterdir()
        if entry.name.endswith(".yaml")
    )


def load(name_or_file: str) -> tuple[str, Mapping]:
    """A shipped mapping by its name, or one from a file; with its name.

    Raises InvalidInput, naming file and field and what is allowed there.
    """
    if name_or_file in shipped():
        return name_or_file, parse((SHIPPED / f"{name_or_file}.yaml").read_bytes(), name_or_file)
    path = Path(name_or_file)
    try:
        text = path.read_bytes()
    except OSError as error:
        known = ", ".join(shipped())
        reason = error.strerror or "cannot be read"
        raise InvalidInput(f"mapping {name_or_file}: {reason}; shipped: {known}") from None
    return path.stem[:64], parse(text, name_or_file)


def parse(text: bytes, where: str) -> Mapping:
    """A mapping from YAML. Raises InvalidInput."""
    try:
        raw: Any = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"mapping {where}: not YAML: {error}") from None
    if not isinstance(raw, dict):
        raise InvalidInput(f"mapping {where}: not a YAML object with the fields of a mapping")
    mapping = converted(raw, Mapping, where)
    check(mapping, where)
    return mapping
