"""Opens the text files that evaluations read, plain or gzip."""

import gzip
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import InvalidInput


@contextmanager
def open_text(path: Path) -> Iterator[io.TextIOWrapper]:
    """The file's text, as UTF-8 with or without a byte order mark. Raises InvalidInput where it
    cannot be read, also halfway."""
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            opened = gzip.GzipFile(fileobj=raw) if packed else raw
            with io.TextIOWrapper(opened, encoding="utf-8-sig", newline="") as text:
                yield text
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path}: {error}") from None
