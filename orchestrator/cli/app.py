"""Commands as Typer runs them: one alone, or all of them for shell completion."""

import gc
import os
import stat
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

import typer

from orchestrator.cli.commands import LOSTTICK, Command, Group

#: The class of errors about arguments. Typer brings a click of its own, and names no other.
_BAD_USAGE = typer.BadParameter.__mro__[1]


def run_command(command: Command, prog_name: str, args: Sequence[str]) -> NoReturn:
    """Import one command and run it; `prog_name` is what its help calls it."""
    app = _typer(add_completion=False)
    os.umask(os.umask(0o077) | stat.S_IWOTH)  # nobody else may change what losttick's tools make
    gc.disable()  # imported classes and functions stay: there is nothing to collect
    _add(app, prog_name.rpartition(" ")[2], command)
    gc.freeze()
    gc.enable()
    try:
        app(args=list(args), prog_name=prog_name)
    except (Exception, SystemExit) as error:
        if _bad_usage(error):  # also where the words about it could not be written
            raise SystemExit(2) from None
        raise
    raise SystemExit  # Typer ends the process itself


def _bad_usage(error: BaseException | None) -> bool:
    """Return whether an error came up while Typer reported bad usage."""
    while error is not None:
        if isinstance(error, _BAD_USAGE):
            return True
        error = error.__context__
    return False


def whole_app() -> typer.Typer:
    """Import every command and return all of them as one application."""
    return _typer_of(LOSTTICK, add_completion=True)


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
