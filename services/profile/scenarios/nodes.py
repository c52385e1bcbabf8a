"""The file's bytes → YAML nodes with lines. Pure. Nothing is constructed but texts; what could
make a small file large (aliases) or run code (tags) is refused, and the size is bounded.
"""

from typing import Final, TypeAlias

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from yaml.reader import ReaderError

from services.profile.scenarios.problems import Place

MOST_BYTES: Final = 1_000_000
MOST_NODES: Final = 50_000
MOST_DEPTH: Final = 20

_Loader: TypeAlias = "type[yaml.SafeLoader] | type[yaml.CSafeLoader]"
LOADER: Final[_Loader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_PLAIN_TAG: Final = "tag:yaml.org,2002:"
_OPENING: Final = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_CLOSING: Final = (yaml.MappingEndEvent, yaml.SequenceEndEvent)

__all__ = ["MappingNode", "Node", "ScalarNode", "SequenceNode", "composed", "line_of"]


def composed(data: bytes, place: Place) -> Node | None:
    """The root node; None where the bytes are no YAML that is read here, which is noted."""
    if len(data) > MOST_BYTES:
        place.refuse(1, f"larger than {MOST_BYTES:,} bytes", "leave out what is not used")
        return None
    text = ""
    try:
        text = data.decode("utf-8-sig")
        if not _is_harmless(text, place):
            return None
        root: Node | None = yaml.compose(text, Loader=LOADER)
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        place.refuse(line, "not UTF-8", "save the file as UTF-8")
        return None
    except yaml.YAMLError as error:
        _refuse_syntax(error, text, place)
        return None
    if root is None:
        place.refuse(1, "the file is empty", "begin with `scenarios:`")
    return root


def line_of(node: Node) -> int:
    """The line where a node begins, from 1."""
    line: int = node.start_mark.line
    return line + 1


def _refuse_syntax(error: yaml.YAMLError, text: str, place: Place) -> None:
    if isinstance(error, ReaderError):
        line = len((text[: int(error.position)] + ".").splitlines())
        place.refuse(line, "a control character", "delete it, and write the line anew")
        return
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or "not YAML"
    place.refuse(
        1 if mark is None else int(mark.line) + 1,
        f"YAML cannot be read: {problem}",
        "indent with spaces, and put in quotes what holds a colon or a hash, "
        "or begins with a quote, a bracket or a sign",
    )


def _is_harmless(text: str, place: Place) -> bool:
    """Whether nothing is in it that nobody needs in a book; notes the first that is."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=LOADER)):
        line = int(getattr(event.start_mark, "line", 0)) + 1
        depth += isinstance(event, _OPENING)
        depth -= isinstance(event, _CLOSING)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            place.refuse(line, "anchors and aliases (& and *) are not read", "write it out")
        elif tag := getattr(event, "tag", None):
            # A condition with a leading `!` means the opposite without it.
            fix = "put an expression in quotes" if tag.startswith("!") else "leave the tag out"
            place.refuse(line, f"YAML takes {tag} for a tag, and tags are not read", fix)
        elif count > MOST_NODES or depth > MOST_DEPTH:
            place.refuse(
                line, "too many or too deeply nested entries", "leave out what is not used"
            )
        else:
            continue
        return False
    return True


def kind_of(node: Node) -> str:
    """What YAML takes a node for: str, int, float, bool, null, map, seq ..."""
    tag: str = node.tag
    return tag.removeprefix(_PLAIN_TAG)
