"""`python -m services.commands.contracts FOLDER`: writes the documents, or checks them."""

import json
import sys
from pathlib import Path
from typing import Any

import click
import yaml

from services.commands.contracts import asyncapi, metrics_page, openapi, settings_page
from services.profile.scenarios import reference, schema


class Dumper(yaml.SafeDumper):
    """Plain YAML: nothing is abbreviated by anchors, lists are indented."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        return super().increase_indent(flow, False)


def documents() -> dict[str, str]:
    """File name → text, as it should stand in docs/."""
    return {
        "asyncapi.yaml": yaml.dump(
            asyncapi.document(), Dumper=Dumper, sort_keys=False, width=100, allow_unicode=True
        ),
        "metrics.md": metrics_page.page(),
        "openapi.json": json.dumps(openapi.document(), indent=1, ensure_ascii=False) + "\n",
        "scenarios-reference.md": reference.page(),
        "scenarios.schema.json": json.dumps(schema.document(), indent=1, ensure_ascii=False) + "\n",
        "settings.md": settings_page.page(),
    }


def stale(folder: Path) -> list[str]:
    """Names of the documents in the folder that differ from what the code says."""
    return [
        name
        for name, text in documents().items()
        if not (folder / name).is_file() or (folder / name).read_text(encoding="utf-8") != text
    ]


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where a document is stale.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
def command(check: bool, folder: Path) -> None:
    """Generate what docs say of wires, metrics, settings and scenarios into FOLDER."""
    if check:
        found = stale(folder)
        for name in found:
            click.echo(f"{folder / name} is stale: run make docs", err=True)
        sys.exit(1 if found else 0)
    for name, text in documents().items():
        (folder / name).write_text(text, encoding="utf-8")
        click.echo(f"wrote {folder / name}")


if __name__ == "__main__":
    command()
