"""Locks, licence and packaging: what an installation relies on."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import shared

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")
# written in parts, so that this file does not hold what it looks for
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("repo", "maven"),
        ("repo1", "maven"),
        ("proxy", "golang"),
        ("crates", "io"),
        ("docker", "io"),
    )
)


def locked(name: str) -> dict[str, str]:
    """Package → the text of its entry (one package may have an entry for each Python)."""
    entries: dict[str, str] = {}
    for entry in re.split(r"\n(?=[a-z])", (ROOT / name).read_text()):
        package = re.split(r"[=\[ ]", entry, maxsplit=1)[0]
        entries[package] = entries.get(package, "") + entry
    return entries


def wanted(group: list[str]) -> set[str]:
    return {re.split(r"[\[<>=;~! ]", name, maxsplit=1)[0].lower() for name in group}


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_has_a_version_and_hashes(name: str) -> None:
    for package, entry in locked(name).items():
        assert re.match(r"[a-z0-9-]+==[0-9]", entry), package
        assert "--hash=sha256:" in entry, package


def test_locks_hold_what_the_project_names() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = settings["dependency-groups"]
    run = wanted([*settings["project"]["dependencies"], *groups["build"]])
    assert run <= set(locked("requirements.lock"))
    assert wanted(groups["dev"]) <= set(locked("requirements-dev.lock"))


def test_the_locks_agree() -> None:
    first, second = (
        {
            name: set(re.findall(r"^\S+==(\S+)", entry, re.MULTILINE))
            for name, entry in found.items()
        }
        for found in map(locked, LOCKS)
    )
    differing = {name for name in first.keys() & second.keys() if not second[name] <= first[name]}
    assert differing == set()


def committed_files() -> list[Path]:
    answer = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True, check=False
    )
    if answer.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in answer.stdout.split("\0") if name]


def test_no_committed_file_names_a_package_registry() -> None:
    found = [
        (path.relative_to(ROOT).as_posix(), registry)
        for path in committed_files()
        if path.is_file()
        for registry in REGISTRIES
        if registry.encode() in path.read_bytes()
    ]
    assert found == []


def test_the_version_is_a_release_number() -> None:
    assert re.fullmatch(r"\d+\.\d+\.\d+", shared.__version__)


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_make_help_lists_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    listed = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE))
    assert phony == listed
    shown = subprocess.run(
        ["make", "-C", str(ROOT), "-s", "help"], capture_output=True, text=True, check=True
    ).stdout
    assert set(re.findall(r"make ([a-z-]+) ", shown)) == listed


def test_loops_are_compiled_before_a_service_has_to_start() -> None:
    """By the image and by `make setup`, all that recommend's own start would compile."""
    compiling = "import services.recommend.main"
    for file in ("deploy/Dockerfile", "Makefile"):
        assert f"python -c '{compiling}'" in (ROOT / file).read_text()
    script = """
import sys
from pathlib import Path
def loops():
    files = [(name, getattr(module, "__file__", None)) for name, module in sys.modules.items()]
    own = [(name, file) for name, file in files if name.startswith("services.recommend") and file]
    return {name for name, file in own if b"\\n@compiled(" in Path(file).read_bytes()}
import services.recommend.main
ahead = loops()
import services.recommend.workers
import services.recommend.live
print(len(ahead), sorted(loops() - ahead))
"""
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    count, late = found.stdout.split(" ", 1)
    assert int(count) > 5
    assert late.strip() == "[]"
