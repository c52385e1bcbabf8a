"""Compiled functions: loops over candidates that would cost a hundred numpy calls a request.

Compiled when the module that holds them is imported, for the one signature named, and kept in
numba's cache: no request ever waits for the compiler. An argument of another type is a TypeError,
not another compilation.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Final, ParamSpec, TypeVar, cast

from numba import config, njit

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


_HERE: Final = Path(__file__).parent
_MARK: Final = b"@compiled("


def _digest() -> str:
    """Of all sources with compiled functions: they call each other, and numba's cache looks at no
    file but the one that a function stands in."""
    digest = hashlib.sha256()
    for path in sorted(_HERE.rglob("*.py")):
        source = path.read_bytes()
        if _MARK in source:
            digest.update(source)
    return digest.hexdigest()[:16]


_folder = Path(getattr(config, "CACHE_DIR", "") or _HERE / "__pycache__")
config.CACHE_DIR = str(_folder / f"compiled-{_digest()}")  # type: ignore[attr-defined]


def compiled(
    signature: str,
) -> Callable[[Callable[Parameters, Result]], Callable[Parameters, Result]]:
    """Compile for a signature in numba's words. Sums keep their order (no fastmath), so every
    machine decides alike; a division by zero gives inf, as in numpy."""

    def compile_it(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
        try:
            made = njit(signature, cache=True, error_model="numpy")(function)
        except RuntimeError:  # no folder for the cache can be written: compiled at every start
            made = njit(signature, error_model="numpy")(function)
        return cast("Callable[Parameters, Result]", made)

    return compile_it
