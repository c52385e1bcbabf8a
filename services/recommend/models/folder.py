"""The model store: a folder with one folder a version, and `current`, which names the one in force.

`current` is replaced in one step, so a reader sees the old version or the new one.
"""

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.recommend.models.snapshot import Metadata, Snapshot, read, read_metadata, write
from shared.errors import InvalidInput, NotFound

CURRENT: Final = "current"
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """Versions under `path`, which need not exist yet."""

    path: Path

    def current(self) -> str | None:
        """The version in force, None where nothing was promoted yet."""
        try:
            version = (self.path / CURRENT).read_text().strip()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise InvalidInput(f"the model store cannot be read: {error}") from None
        return version or None

    def versions(self) -> list[str]:
        """All complete versions, ascending by name, which begins with the time of training."""
        if not self.path.is_dir():
            return []
        return sorted(
            entry.name for entry in self.path.iterdir() if (entry / "metadata.json").is_file()
        )

    def metadata(self, version: str) -> Metadata:
        """Raises InvalidInput, or NotFound for a version that is not there."""
        return read_metadata(self._folder(version))

    def load(self, version: str) -> tuple[Snapshot, Metadata]:
        """Raises InvalidInput, or NotFound for a version that is not there."""
        folder = self._folder(version)
        return read(folder), read_metadata(folder)

    def save(self, snapshot: Snapshot, metadata: Metadata) -> None:
        """Write a new version, whole or not at all; it is in force once promoted."""
        _check(metadata.version)
        final = self.path / metadata.version
        if final.exists():
            raise InvalidInput(f"the model {metadata.version} exists already")
        unfinished = self.path / f".{metadata.version}.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            write(snapshot, metadata, unfinished)
            unfinished.rename(final)
        except OSError as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise InvalidInput(f"the model store cannot be written: {error}") from None

    def promote(self, version: str) -> None:
        """Put a version in force. Raises NotFound."""
        self._folder(version)
        unfinished = self.path / f".{CURRENT}.unfinished"
        unfinished.write_text(version + "\n")
        os.replace(unfinished, self.path / CURRENT)

    def _folder(self, version: str) -> Path:
        _check(version)
        folder = self.path / version
        if not folder.is_dir():
            raise NotFound(f"there is no model {version!r}")
        return folder


def _check(version: str) -> None:
    if not _VERSION.fullmatch(version):
        raise InvalidInput(f"{version!r} is no name of a model version")
