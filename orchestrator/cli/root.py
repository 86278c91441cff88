"""The command `losttick` itself: finds the command that is asked for, and ends the process.

`--help`, `--version` and a mistyped command are answered from the table of commands alone.
Typer, and the module of a command, are imported only when that command runs.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from orchestrator.cli.commands import LOSTTICK, Group
from orchestrator.cli.interrupts import (
    INTERRUPTED,
    end_in_time,
    exit_at_once,
    handle_as_python_does,
)
from orchestrator.cli.streams import SETTLE_S, Streams, UnreadError
from orchestrator.cli.text import say_error
from orchestrator.results.printable import one_line
from orchestrator.version import __version__

_NAME = "losttick"

_COMPLETION = ("--install-completion", "--show-completion")

_HELP = {"--help": "Print this help; -h does, too."}

_OPTIONS = {
    "--version": "Print the version.",
    "--install-completion": "Install completion for the current shell.",
    "--show-completion": "Print completion for the current shell.",
}


# Numbers of `exits.py`, which takes too long to import here; a test compares them.
_USAGE, _HARNESS, _UNREAD = 2, 4, 141

# Numbers of `bisect/for_git.py`: the answers that `git bisect run` takes, and what is added to the
# other codes.
_ANSWERS, _ABORT = (0, 1, 125), 200

#: Exit codes that stay although nobody reads standard output: the words to them are elsewhere.
_KEPT = (_USAGE, INTERRUPTED)

#: Exit codes that give way to a harness failure: clean, inconclusive and unfit.
_MILDER = (0, 3, 6)


def run_root() -> None:
    """Run the command that the arguments name, and end the process with its exit code."""
    streams = Streams()
    args = sys.argv[1:]
    try:
        if "_LOSTTICK_COMPLETE" in os.environ or (args and args[0] in _COMPLETION):
            code = import_module("orchestrator.cli.app").run_whole_app(_NAME)
        else:
            code = _dispatch(LOSTTICK, _NAME, args)
    except BaseException as error:
        code = _failed(error)
    exit_at_once()
    left_s = None if streams.embedded else end_in_time()
    code = _for_git(_deliver(streams, code, left_s), args)
    streams.give_back()
    if streams.embedded:
        handle_as_python_does()
    else:
        exit_at_once(code)  # the interpreter is about to end, without a word
    sys.exit(code)


def _for_git(code: int, args: Sequence[str]) -> int:
    """Return a command's exit code, such that `git bisect run` takes no trouble for an answer.

    For git, bad usage (2) or a failure (4) would be a bad commit. A mistyped or forgotten name of
    a command of `bisect` is no answer either.
    """
    known = LOSTTICK.commands["bisect"]
    assert isinstance(known, Group)
    second = args[1] if args[:1] == ["bisect"] and len(args) > 1 else ""
    mistyped = second[:1] not in ("", "-") and second not in known.commands
    for_git = second == "run" or mistyped or (bool(second) and "--" in args)
    return code + _ABORT if for_git and code not in _ANSWERS and code < 128 else code


def _failed(error: BaseException) -> int:
    """Return the exit code after an error that no command has handled.

    Python, Typer and rich end with 1 after an error of their own. Here 1 is a verdict: a code of
    `exits.ExitCode`.
    """
    if isinstance(error, SystemExit):
        code = error.code
        if code is None or (isinstance(code, int) and (code != 1 or type(code) is not int)):
            return code or 0
        return _HARNESS
    if isinstance(error, KeyboardInterrupt):
        return INTERRUPTED
    if isinstance(error, BrokenPipeError):
        return _UNREAD
    if "LOSTTICK_TRACEBACK" in os.environ:
        sys.excepthook(type(error), error, error.__traceback__)
    else:
        say_error(
            f"a fault in losttick itself: {one_line(f'{type(error).__name__}: {error}')}. Run "
            "again with LOSTTICK_TRACEBACK=1 to see where it happened, and please report that."
        )
    return _HARNESS


def _deliver(streams: Streams, code: int, left_s: float | None) -> int:
    """Write what the command has printed; return the exit code after that.

    Standard error comes first, so that a terminal shows both in their order. If it has stalled,
    half of the time until the process ends (`left_s`) is kept for standard output.
    """
    try:
        streams.error.settle(SETTLE_S if left_s is None else min(SETTLE_S, left_s / 2))
        streams.output.deliver()
    except UnreadError:
        return code if code in _KEPT else _UNREAD
    except OSError as error:
        say_error(f"writing to standard output: {error.strerror}")
        return _HARNESS if code in _MILDER else code
    return code


def options(group: Group) -> dict[str, str]:
    """Return a group's options and their help."""
    return (_OPTIONS if group is LOSTTICK else {}) | _HELP


def _dispatch(group: Group, called: str, args: Sequence[str]) -> int:
    """Run the command that the first argument names.

    Returns:
        The exit code of the command; 0 after `--help`, 2 for bad usage.
    """
    first = args[0] if args else ""
    if first in ("", "-h", "--help"):
        print(_help(group, called))
        return 0 if first else _USAGE
    if first == "--version" and group is LOSTTICK:
        print(f"{_NAME} {__version__}")
        return 0
    if group.unnamed and first.startswith("-"):
        first, args = group.unnamed, [first, *args]
    entry = group.commands.get(first)
    if isinstance(entry, Group):
        return _dispatch(entry, f"{called} {first}", args[1:])
    if entry:
        app = import_module("orchestrator.cli.app")
        code: int = app.run_command(entry, f"{called} {first}", args[1:])
        return code
    what = "option" if first.startswith("-") else "command"
    close = import_module("difflib").get_close_matches(
        first, [*group.commands, *options(group)], n=1
    )
    hint = f"Did you mean `{called} {close[0]}`?" if close else f"See `{called} --help`."
    say_error(f"there is no {what} {first!r}. {hint}")
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
        *_columns(options(group)),
        "",
        f"`{called} COMMAND --help` lists the options of a command.",
    ]
    return "\n".join(lines + ([group.more()] if group.more else []))


def _columns(rows: Mapping[str, str]) -> list[str]:
    width = max(map(len, rows))
    return [f"  {name:{width}}  {text}" for name, text in rows.items()]
