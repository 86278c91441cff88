"""Commands as Typer runs them: one alone, or all of them for shell completion."""

import gc
import os
import stat
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer

from orchestrator.cli.commands import LOSTTICK, Command, Group
from orchestrator.cli.exits import ExitCode, usage_error

#: The root of the parser's errors; releases of Typer differ in the module that has it.
_PARSER_ERROR: type[Any] = typer.BadParameter.__mro__[2]


def run_command(command: Command, prog_name: str, args: Sequence[str]) -> int:
    """Import one command and run it; return its exit code.

    Args:
        command: the command.
        prog_name: the command's name in its help.
        args: its arguments.
    """
    app = _typer(add_completion=False)
    os.umask(os.umask(0o077) | stat.S_IWOTH)  # nobody else may change what losttick's tools make
    gc.disable()  # imported classes and functions stay: there is nothing to collect
    _add(app, prog_name.rpartition(" ")[2], command)
    gc.freeze()
    gc.enable()
    return _run(app, prog_name, args)


def run_whole_app(prog_name: str) -> int:
    """Import every command as one application and run it, for shell completion."""
    return _run(whole_app(), prog_name)


def whole_app() -> typer.Typer:
    """Import every command and return all of them as one application."""
    return _typer_of(LOSTTICK, add_completion=True)


def _run(app: typer.Typer, prog_name: str, args: Sequence[str] | None = None) -> int:
    """Run an application, and print the parser's errors."""
    try:
        code = app(
            args=None if args is None else list(args), prog_name=prog_name, standalone_mode=False
        )
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except _PARSER_ERROR as error:
        return usage_error(prog_name, error.format_message(), as_json="--json" in (args or ()))
    return code or ExitCode.CLEAN


def _typer_of(group: Group, *, add_completion: bool = False) -> typer.Typer:
    app = _typer(add_completion=add_completion, help=group.help)
    for name, entry in group.commands.items():
        if isinstance(entry, Group):
            app.add_typer(_typer_of(entry), name=name)
        else:
            _add(app, name, entry)
    return app


def _typer(*, add_completion: bool, help: str | None = None) -> typer.Typer:
    return typer.Typer(
        help=help,
        add_completion=add_completion,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _add(app: typer.Typer, name: str, command: Command) -> None:
    module, _, function = command.function.partition(":")
    app.command(name)(getattr(import_module(module), function))
