"""Exit codes: how verdicts, errors and signals become them."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from enum import IntEnum
from typing import Any, NoReturn

import typer

from orchestrator.cli.text import printable
from orchestrator.errors import InputError, LosttickError, UnfitError
from orchestrator.verdict.verdict import Verdict


class ExitCode(IntEnum):
    """The exit codes of every command."""

    CLEAN = 0
    FOUND = 1
    """Affected or anomalous."""
    USAGE = 2
    INCONCLUSIVE = 3
    """Inconclusive, nothing fit to run, or a requirement that the host does not meet."""
    HARNESS = 4
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    """The reader of the output went away: the code of a program that SIGPIPE ended."""


def verdict_exit(verdict: Verdict, *, failed: bool = False) -> ExitCode:
    """Return the exit code of a verdict.

    Args:
        verdict: of the whole run.
        failed: the harness failed in at least one cell. A finding outweighs a failure.
    """
    match verdict:
        case Verdict.AFFECTED | Verdict.ANOMALOUS:
            return ExitCode.FOUND
        case _ if failed:
            return ExitCode.HARNESS
        case Verdict.CLEAN:
            return ExitCode.CLEAN
        case Verdict.INCONCLUSIVE | Verdict.SKIPPED:
            return ExitCode.INCONCLUSIVE


def _error_exit(error: LosttickError) -> ExitCode:
    if isinstance(error, InputError):
        return ExitCode.USAGE
    if isinstance(error, UnfitError):
        return ExitCode.INCONCLUSIVE
    return ExitCode.HARNESS


@contextlib.contextmanager
def errors_to_exits(*, as_json: bool) -> Iterator[None]:
    """Turn losttick's errors and an interrupt into a message and an exit code.

    With `as_json` the message is also printed as a JSON object on standard output.
    """
    try:
        yield
    except LosttickError as error:
        _leave(_error_exit(error), str(error), as_json=as_json)
    except (BrokenPipeError, SystemExit):  # rich turns a BrokenPipeError into a SystemExit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.BROKEN_PIPE) from None
    except Exception as error:
        if "LOSTTICK_TRACEBACK" in os.environ or isinstance(error, typer.Exit):
            raise
        if isinstance(error, OSError):
            doing = f"using {error.filename}" if error.filename else "writing to standard output"
            _leave(ExitCode.HARNESS, f"{doing}: {error.strerror}", as_json=False)
        _leave(
            ExitCode.HARNESS,
            f"a fault in losttick itself: {type(error).__name__}: {error}. Nothing was learnt "
            "about this host. Run again with LOSTTICK_TRACEBACK=1 to see where it happened, and "
            "please report that.",
            as_json=as_json,
        )
    except KeyboardInterrupt:
        _leave(ExitCode.INTERRUPTED, "interrupted", as_json=as_json)


def _leave(code: ExitCode, message: str, *, as_json: bool) -> NoReturn:
    typer.echo(printable(f"losttick: {message}"), err=True)
    if as_json:
        typer.echo(json.dumps({"verdict": None, "error": message}))
    raise typer.Exit(code)


def run_async(start: Callable[[], Coroutine[Any, Any, ExitCode]]) -> ExitCode:
    """Run a command's coroutine. SIGTERM cancels it as Ctrl-C does, so that it cleans up.

    Raises:
        KeyboardInterrupt: SIGTERM or Ctrl-C ended it.
    """

    async def main() -> ExitCode:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await start()

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
