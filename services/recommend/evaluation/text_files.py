"""Opens the text files that evaluations read, plain or gzip."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from shared.errors import InvalidInput


@contextmanager
def open_text(path: Path) -> Iterator[io.TextIOWrapper]:
    """The file's text, as UTF-8 with or without a byte order mark. Raises InvalidInput where it
    cannot be read, also halfway, or is empty."""
    try:
        with path.open("rb") as raw:
            begins = raw.read(2)
            if not begins:
                raise InvalidInput(f"{path}: the file is empty")
            raw.seek(0)
            opened = gzip.GzipFile(fileobj=raw) if begins == b"\x1f\x8b" else raw
            with io.TextIOWrapper(opened, encoding="utf-8-sig", newline="") as text:
                yield text
    except OSError as error:
        raise InvalidInput(f"{path}: {error.strerror or error}") from None
    except (EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InvalidInput(f"{path}: {error}") from None
