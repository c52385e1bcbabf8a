"""Command groups that import a command only when it is run, so that help is instant.

Used by services/cli.py and services/commands/bench/main.py.
"""

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import click

from services.commands.output import CommandFailed
from shared.errors import AttuneError


class Target(NamedTuple):
    """Where a command lies (`module:attribute`) and the line that a group's help shows for it."""

    address: str
    summary: str


class LazyGroup(click.Group):
    """A group whose commands are imported on use.

    An AttuneError of any command becomes one line on standard error and its exit code, and so do
    wrong arguments.
    """

    def __init__(self, *args: Any, targets: Mapping[str, Target], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.targets = targets

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.targets)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = self.targets.get(cmd_name)
        return None if target is None else load(cmd_name, target)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, target.summary) for name, target in self.targets.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except AttuneError as error:
            raise CommandFailed.of(error) from error
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            raise CommandFailed(error.format_message()) from error


def load(name: str, target: Target) -> click.Command:
    """Import one command. Raises CommandFailed where it, or a package it needs, is missing."""
    module_name, _, attribute = target.address.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        if module_name == missing or module_name.startswith(missing + "."):
            message = f"`{name}` is not part of this installation: {missing} is missing"
        else:
            message = f"`{name}` needs the package {missing}, which is not installed: make setup"
        raise CommandFailed(message, exit_code=2) from error
    command = getattr(module, attribute, None)
    if not isinstance(command, click.Command):
        raise CommandFailed(f"`{name}` is broken: {target.address} is no command", exit_code=2)
    return command
