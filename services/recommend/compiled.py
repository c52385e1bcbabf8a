"""Compiled functions: loops over candidates that would cost a hundred numpy calls a request.

Compiled when the module that holds them is imported, for the one signature named, and kept in
numba's cache beside the source: no request ever waits for the compiler. An argument of another
type is a TypeError, not another compilation.
"""

from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from numba import njit

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


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
