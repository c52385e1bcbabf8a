"""The model store: versions in a folder or in a bucket, and which of them are in force.

Training writes it, recommend and profile poll it, `attune models` shows it. `<version>/` holds
`items.json`, an npz file for each part, and `metadata.json`, which is written last and names the
others with their checksums: without it there is no version. `promotions.json` lists what was
promoted, the one in force last; it is replaced whole, so a reader sees the old one or the new one.
Blocking.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from re import compile as pattern
from typing import Final, NamedTuple, Self

import msgspec
import obstore
from msgspec import Struct
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, from_url

from shared.errors import InvalidInput, NotFound, SettingsError, Unavailable
from shared.models.files import (
    decode_arrays,
    decode_items,
    encode_arrays,
    encode_items,
    gathered,
    mark,
)
from shared.models.metadata import FileMark, Metadata, PartMetadata, decode, encode
from shared.models.part import Part

METADATA: Final = "metadata.json"
ITEMS: Final = "items.json"
PROMOTIONS: Final = "promotions.json"
MOST_REMEMBERED: Final = 100
SCHEMES: Final = ("s3://", "s3a://", "gs://", "az://", "abfs://", "abfss://")
_VERSION: Final = pattern(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Promotion(Struct, frozen=True):
    """A version was put in force, at this time (real epoch ms)."""

    version: str
    at: int


class Version(NamedTuple):
    """All of a version. items: ids by local number, items[0] is no item."""

    metadata: Metadata
    items: list[str]
    parts: dict[str, Part]


class ModelStore:
    """Versions and promotions in one place. One promoter at a time: of two at once the later one
    stands, and the other is not remembered. All methods raise Unavailable."""

    def __init__(self, objects: ObjectStore, place: str) -> None:
        self._objects = objects
        self._place = place

    @classmethod
    def open(cls, address: str) -> Self:
        """A folder's path, or s3://bucket/prefix, gs://, az:// (their credentials come from their
        own variables, such as AWS_ACCESS_KEY_ID). Raises SettingsError, Unavailable."""
        try:
            if "://" not in address:
                return cls(LocalStore(Path(address), mkdir=True), address)
            if not address.startswith(SCHEMES):
                known = ", ".join(SCHEMES)
                raise SettingsError(f"ATTUNE_MODELS: a folder, or one of {known}, not {address}")
            return cls(from_url(address), address)
        except BaseError as error:
            raise SettingsError(f"ATTUNE_MODELS: {address}: {_first_line(error)}") from None
        except OSError as error:
            raise Unavailable(f"the model store at {address}: {_first_line(error)}") from None

    # reading

    def versions(self) -> list[str]:
        """All whole versions, ascending by name, which begins with the time of training."""
        with self._translated():
            found = obstore.list_with_delimiter(self._objects)["common_prefixes"]
        names = sorted(prefix.rstrip("/") for prefix in found)
        return [name for name in names if _VERSION.fullmatch(name) and self._has(name)]

    def metadata(self, version: str) -> Metadata:
        """Raises NotFound, or InvalidInput where it is damaged or of another format."""
        _check(version)
        data = self._read(f"{version}/{METADATA}")
        if data is None:
            raise NotFound(f"there is no model {version!r}")
        return decode(data.getvalue(), version)

    def load(self, version: str, only: Collection[str] | None = None) -> Version:
        """The whole version, or with only those of its parts. Raises NotFound, or InvalidInput
        where a file of it is missing or is not what was written."""
        metadata = self.metadata(version)
        try:
            items = decode_items(self._marked(version, ITEMS, metadata.items))
            parts = {
                name: Part(name, decode_arrays(self._marked(version, _file(name), part.file)),
                           part.facts)
                for name, part in metadata.parts.items() if only is None or name in only
            }  # fmt: skip
        except InvalidInput as error:
            raise InvalidInput(f"the model {version} is damaged: {error}") from None
        return Version(metadata, items, parts)

    def promotions(self) -> list[Promotion]:
        """What was promoted and not rolled back since, the one in force last."""
        data = self._read(PROMOTIONS)
        if data is None:
            return []
        try:
            return msgspec.json.decode(data.getvalue(), type=list[Promotion])
        except msgspec.MsgspecError as error:
            raise InvalidInput(f"the model store's {PROMOTIONS} is damaged: {error}") from None

    def current(self) -> str | None:
        """The version in force, None where nothing was promoted yet."""
        promotions = self.promotions()
        return promotions[-1].version if promotions else None

    # writing

    def save(self, metadata: Metadata, items: list[str], parts: Mapping[str, Part]) -> Metadata:
        """Write a new version, whole or not at all; it is in force once promoted. Returns the
        metadata with the marks of its files. Raises InvalidInput where the version exists."""
        version = metadata.version
        _check(version)
        if self._has(version):
            raise InvalidInput(f"the model {version} exists already")
        whole = msgspec.structs.replace(
            metadata,
            items=self._write(f"{version}/{ITEMS}", encode_items(items)),
            parts={
                name: PartMetadata(
                    part.facts, self._write(f"{version}/{_file(name)}", encode_arrays(part.arrays))
                )
                for name, part in sorted(parts.items())
            },
        )
        with self._translated():
            try:
                obstore.put(self._objects, f"{version}/{METADATA}", encode(whole), mode="create")
            except AlreadyExistsError:
                raise InvalidInput(f"the model {version} exists already") from None
        return whole

    def promote(self, version: str, at: int) -> None:
        """Put a version in force; nothing changes where it is. Raises NotFound, or InvalidInput
        where it is damaged."""
        self.load(version)
        promotions = self.promotions()
        if not promotions or promotions[-1].version != version:
            self._remember([*promotions, Promotion(version, at)])

    def rollback(self) -> str:
        """Put the version in force again that was before; which. Versions that are gone or damaged
        are passed over. Raises NotFound where there is none."""
        earlier = self.promotions()[:-1]
        while earlier:
            version = earlier[-1].version
            try:
                self.load(version)
            except (InvalidInput, NotFound):
                earlier.pop()
                continue
            self._remember(earlier)
            return version
        raise NotFound("no earlier version was in force")

    def _remember(self, promotions: list[Promotion]) -> None:
        self._write(PROMOTIONS, msgspec.json.encode(promotions[-MOST_REMEMBERED:]))

    # objects

    def _has(self, version: str) -> bool:
        with self._translated():
            try:
                obstore.head(self._objects, f"{version}/{METADATA}")
            except FileNotFoundError:
                return False
        return True

    def _read(self, path: str) -> BytesIO | None:
        with self._translated():
            try:
                return gathered(obstore.get(self._objects, path))
            except FileNotFoundError:
                return None

    def _marked(self, version: str, name: str, expected: FileMark | None) -> BytesIO:
        file = self._read(f"{version}/{name}")
        if file is None:
            raise InvalidInput(f"{name} is missing")
        if mark(file.getbuffer()) != expected:
            raise InvalidInput(f"{name} is not what was written")
        return file

    def _write(self, path: str, data: bytes) -> FileMark:
        with self._translated():
            obstore.put(self._objects, path, data)
        return mark(data)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (BaseError, OSError) as error:
            raise Unavailable(
                f"the model store at {self._place} does not answer: {_first_line(error)}"
            ) from error


def _file(part: str) -> str:
    return f"{part}.npz"


def _check(version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise InvalidInput(f"{version!r} is no name of a model version")


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
