"""Which changes of the sources make numba compile anew."""

from pathlib import Path

from services.recommend.compiled import digest_of

LOOP = (
    "from shop.rules import BOUGHT\n\n@compiled('int64()')\ndef code() -> int:\n    return BOUGHT\n"
)
RULES = 'from shop.names import NAMES\n\n"""Codes."""\nBOUGHT = NAMES.index("bought")\nOTHER = 1\n'
NAMES = 'NAMES = ("", "bought")\n'


def digest(root: Path, **changed: str) -> str:
    sources = {"loop": LOOP, "rules": RULES, "names/__init__": NAMES} | changed
    (root / "shop" / "names").mkdir(parents=True, exist_ok=True)
    for name, source in sources.items():
        (root / "shop" / f"{name}.py").write_text(source)
    return digest_of(root, root / "shop")


def test_values_that_compiled_code_takes_from_other_modules_count(tmp_path: Path) -> None:
    names = {"names/__init__": 'NAMES = ("bought",)\n'}
    rules = {
        "rules": RULES.replace("OTHER = 1", "OTHER = 2\n\ndef use() -> int:\n    return OTHER")
    }
    before = digest(tmp_path / "before")
    assert digest(tmp_path / "same") == before
    assert digest(tmp_path / "far", **names) != before
    assert digest(tmp_path / "loop", loop=LOOP + "# more\n") != before
    # no other edit of such a module makes everybody wait for the compiler
    assert digest(tmp_path / "beside", **rules) == before
