"""Commands as Typer runs them: one alone, or all of them for shell completion."""

import gc
import os
import stat
from collections.abc import Collection, Sequence
from importlib import import_module
from typing import Any

import typer

from orchestrator.cli.commands import LOSTTICK, Command, Group
from orchestrator.cli.exits import ExitCode, usage_error

#: Variables in which a shell's completion script passes what has been typed.
_TYPED = ("COMP_WORDS", "_TYPER_COMPLETE_ARGS")

#: The root of the parser's errors; releases of Typer differ in the module that has it.
PARSER_ERROR: type[Any] = typer.BadParameter.__mro__[2]


def run_command(command: Command, prog_name: str, args: Sequence[str]) -> int:
    """Import one command and run it; return its exit code.

    Args:
        command: the command.
        prog_name: the command's name in its help.
        args: its arguments.
    """
    os.umask(os.umask(0o077) | stat.S_IWOTH)  # nobody else may change what losttick's tools make
    gc.disable()  # imported classes and functions stay: there is nothing to collect
    app = typer_of_one(prog_name.rpartition(" ")[2], command)
    gc.freeze()
    gc.enable()
    return _run(app, prog_name, args)


def typer_of_one(name: str, command: Command) -> typer.Typer:
    """Import one command and return it as an application."""
    app = _typer(add_completion=False)
    _add(app, name, command)
    return app


def run_whole_app(prog_name: str) -> int:
    """Run all commands as one application, for shell completion.

    The shell waits for this at each press of the Tab key, so only a command that has been typed is
    imported: its options are wanted.
    """
    typed = " ".join(os.environ.get(name, "") for name in _TYPED).split()
    return _run(_typer_of(LOSTTICK, typed, add_completion=True), prog_name)


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
    except PARSER_ERROR as error:
        return usage_error(prog_name, error.format_message(), as_json="--json" in (args or ()))
    return code or ExitCode.CLEAN


def _typer_of(
    group: Group, typed: Collection[str] | None = None, *, add_completion: bool = False
) -> typer.Typer:
    """Return a group as an application.

    Args:
        group: the group.
        typed: names of the commands to import; the others then have nothing but their help. By
            default, all are imported.
        add_completion: whether to add the options for shell completion.
    """
    app = _typer(add_completion=add_completion, help=group.help)
    for name, entry in group.commands.items():
        if isinstance(entry, Group):
            app.add_typer(_typer_of(entry, typed), name=name)
        elif typed is None or name in typed:
            _add(app, name, entry)
        else:
            app.command(name, help=entry.help)(_not_imported)
    return app


def _not_imported() -> None:
    """Stands for a command that is only named."""


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
