"""Compiled functions: loops over candidates that would cost a hundred numpy calls a request.

Compiled when the module that holds them is imported, for the one signature named, and kept in
numba's cache: no request ever waits for the compiler. An argument of another type is a TypeError,
not another compilation.
"""

import ast
import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final, ParamSpec, TypeVar, cast

from numba import config, njit

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


_HERE: Final = Path(__file__).parent
_MARK: Final = b"@compiled("


def digest_of(root: Path, folder: Path) -> str:
    """Of all sources in a folder of `root` with compiled functions, since they call each other and
    numba's cache looks at no file but the one that a function stands in; and of the values they
    take from other modules of `root`, which are frozen in what is compiled."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        source = path.read_bytes()
        if _MARK in source:
            digest.update(source)
            digest.update(repr(sorted(_imported(root, source))).encode())
    return digest.hexdigest()[:16]


def _imported(root: Path, source: bytes) -> set[str]:
    """The assignments that a source's imported constants stand for, and what those rest on."""
    found: set[str] = set()
    due = list(_constants(ast.parse(source)))
    seen = set(due)
    while due:
        module, name = due.pop()
        tree = _parsed(root.joinpath(*module.split(".")))
        for statement in tree.body:
            if name not in _assigned(statement):
                continue
            found.add(f"{module}: {ast.unparse(statement)}")
            used = {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
            further = {(module, other) for other in used - {name}}
            further = {entry for entry in _constants(tree) if entry[1] in used} | further
            due += sorted(further - seen)
            seen |= further
    return found


@cache
def _parsed(path: Path) -> ast.Module:
    """A module or package; nothing of what is not ours, or counts as a whole."""
    for file in (path.with_suffix(".py"), path / "__init__.py"):
        if file.exists():
            source = file.read_bytes()
            return ast.parse(b"" if _MARK in source else source)
    return ast.parse(b"")


def _constants(tree: ast.Module) -> set[tuple[str, str]]:
    """(module, name) of what a module imports."""
    return {
        (statement.module, entry.name)
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom) and statement.module
        for entry in statement.names
    }


def _assigned(statement: ast.stmt) -> set[str]:
    targets = statement.targets if isinstance(statement, ast.Assign) else []
    if isinstance(statement, ast.AnnAssign) and statement.value is not None:
        targets = [statement.target]
    return {
        node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)
    }


_folder = Path(getattr(config, "CACHE_DIR", "") or _HERE / "__pycache__")
config.CACHE_DIR = str(_folder / f"compiled-{digest_of(_HERE.parents[1], _HERE)}")  # type: ignore[attr-defined]


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
