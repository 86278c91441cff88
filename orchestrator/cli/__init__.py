"""The command line: one file a command.

`main` answers `--help`, `--version` and a mistyped command from the table of commands
alone. Typer, and the module of a command, are imported only when that command runs.
"""

import contextlib
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


#: Exit codes of `exits.ExitCode`, which imports too much for `--help`.
_USAGE, _HARNESS, _INTERRUPTED, _BROKEN_PIPE = 2, 4, 130, 141


def main() -> None:
    """Run the command line, and end with a code of the table in `exits`.

    Python, Typer and rich end with 1 after an error of their own. Here 1 is a verdict, so
    every error that nothing else has handled ends with another code.
    """
    try:
        code = _run(sys.argv[1:])
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except BrokenPipeError:
        code = _BROKEN_PIPE
    except Exception as error:
        code = _HARNESS
        with contextlib.suppress(Exception):
            if "LOSTTICK_TRACEBACK" in os.environ:
                sys.excepthook(type(error), error, error.__traceback__)
            else:
                words = f"{type(error).__name__}: {error}".encode("unicode_escape").decode()
                print(
                    f"losttick: a fault in losttick itself: {words}. Run again with "
                    "LOSTTICK_TRACEBACK=1 to see where it happened, and please report that.",
                    file=sys.stderr,
                )
    sys.exit(_flushed(code))


def _run(args: Sequence[str]) -> int:
    """Run the command line; return its exit code."""
    try:
        if "_LOSTTICK_COMPLETE" in os.environ or (args and args[0] in _COMPLETION):
            import_module("orchestrator.cli.app").whole_app()(prog_name=_NAME)
        return _dispatch(LOSTTICK, _NAME, args)
    except SystemExit as end:  # a command has run
        if end.code is None:
            return 0
        # A verdict's code is an `ExitCode`. Typer and rich end with a plain 1, as they do
        # where the reader of the output went away.
        if not isinstance(end.code, int) or (end.code == 1 and type(end.code) is int):
            return _BROKEN_PIPE if isinstance(end.__context__, BrokenPipeError) else _HARNESS
        return end.code


def _flushed(code: int) -> int:
    """Write what is still buffered; return the exit code.

    If it can't be written, Python would try again as it ends, and end with a code of its own.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream:
                stream.flush()
        except (OSError, ValueError) as error:
            with contextlib.suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            if code == 0:
                code = _BROKEN_PIPE if isinstance(error, BrokenPipeError) else _HARNESS
    return code


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
        return 0 if first else _USAGE
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
    with contextlib.suppress(OSError):
        print(f"losttick: there is no {what} {first!r}. {hint}", file=sys.stderr)
    return _USAGE


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
