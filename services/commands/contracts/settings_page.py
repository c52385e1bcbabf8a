"""docs/settings.md: every variable that Attune reads, from the settings classes themselves."""

import inspect
from dataclasses import MISSING, Field, fields
from typing import Any, Final

from services.ingest.archive.settings import ArchiveSettings
from services.ingest.collector.settings import CollectorSettings
from services.ingest.settings import IngestSettings
from services.profile.settings import ProfileSettings
from services.recommend.settings import RecommendSettings
from shared.settings import FromEnvironment, Settings

CLASSES: Final[tuple[tuple[str, type[FromEnvironment]], ...]] = (
    ("All services", Settings),
    ("Collector", CollectorSettings),
    ("Ingest", IngestSettings),
    ("Profile", ProfileSettings),
    ("Recommend", RecommendSettings),
    ("Archive", ArchiveSettings),
)


def page() -> str:
    """The page, as Markdown."""
    parts = [
        "# Settings",
        "",
        "Read from the environment when a service starts. A value that does not parse stops the "
        "service with a line that names the variable. Made by `make docs`.",
    ]
    for title, kind in CLASSES:
        parts += ["", f"## {title}", "", *_explained(kind), "| variable | default |", "|---|---|"]
        parts += [
            f"| `{kind.prefix}{field.name.upper()}` | {_default(field)} |"
            for field in fields(kind)  # type: ignore[arg-type]
        ]
    return "\n".join(parts) + "\n"


def _explained(kind: type[FromEnvironment]) -> list[str]:
    """The class's own words, each paragraph on a line, then an empty line."""
    text = inspect.getdoc(kind) or ""
    paragraphs = [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]
    return [line for paragraph in paragraphs for line in (paragraph, "")]


def _default(field: Field[Any]) -> str:
    value = field.default
    if value is MISSING and field.default_factory is not MISSING:
        return "empty"
    if value == "":
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
