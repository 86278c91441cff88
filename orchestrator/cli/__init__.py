"""The command line: one file a command.

`main` answers `--help`, `--version` and a mistyped command from the table of commands
alone. Typer, and the module of a command, are imported only when that command runs.
"""

import difflib
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from orchestrator.cli.commands import LOSTTICK, Group
from orchestrator.version import __version__

_NAME = "losttick"

_COMPLETION = ("--install-completion", "--show-completion")

_HELP = {"--help": "Print this help; -h does, too."}

_OPTIONS = {
    "--version": "Print the version.",
    "--install-completion": "Install completion for the current shell.",
    "--show-completion": "Print completion for the current shell.",
}


def main() -> None:
    """Run the command line."""
    args = sys.argv[1:]
    if "_LOSTTICK_COMPLETE" in os.environ or (args and args[0] in _COMPLETION):
        import_module("orchestrator.cli.app").whole_app()(prog_name=_NAME)
    try:
        code = _dispatch(LOSTTICK, _NAME, args)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 141
    sys.exit(code)


def _options(group: Group) -> dict[str, str]:
    """Return a group's options and their help."""
    return (_OPTIONS if group is LOSTTICK else {}) | _HELP


def _dispatch(group: Group, called: str, args: Sequence[str]) -> int:
    """Run the command that the first argument names.

    Returns:
        The exit code, where no command ran: 0 after `--help`, 2 for bad usage.
    """
    first = args[0] if args else ""
    if first in ("", "-h", "--help"):
        print(_help(group, called))
        return 0 if first else 2
    if first == "--version" and group is LOSTTICK:
        print(f"{_NAME} {__version__}")
        return 0
    entry = group.commands.get(first)
    if isinstance(entry, Group):
        return _dispatch(entry, f"{called} {first}", args[1:])
    if entry:
        import_module("orchestrator.cli.app").run_command(entry, f"{called} {first}", args[1:])
    what = "option" if first.startswith("-") else "command"
    close = difflib.get_close_matches(first, [*group.commands, *_options(group)], n=1)
    hint = f"Did you mean `{called} {close[0]}`?" if close else f"See `{called} --help`."
    print(f"losttick: there is no {what} {first!r}. {hint}", file=sys.stderr)
    return 2


def _help(group: Group, called: str) -> str:
    lines = [
        f"Usage: {called} COMMAND [OPTIONS]",
        "",
        group.help,
        "",
        "Commands:",
        *_columns({name: entry.help for name, entry in group.commands.items()}),
        "",
        "Options:",
        *_columns(_options(group)),
        "",
        f"`{called} COMMAND --help` lists the options of a command.",
    ]
    return "\n".join(lines + ([group.more()] if group.more else []))


def _columns(rows: Mapping[str, str]) -> list[str]:
    width = max(map(len, rows))
    return [f"  {name:{width}}  {text}" for name, text in rows.items()]
