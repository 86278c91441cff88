"""Exit codes, and how errors and signals become them."""

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from enum import IntEnum
from typing import Any, NoReturn

import typer

from orchestrator.errors import InputError, LosttickError, UnfitError


class ExitCode(IntEnum):
    """What the process says to its caller."""

    CLEAN = 0
    FOUND = 1
    """Affected or anomalous."""
    USAGE = 2
    INCONCLUSIVE = 3
    """Inconclusive, nothing fit to run, or a requirement not met."""
    HARNESS = 4
    INTERRUPTED = 130
    BROKEN_PIPE = 141
    """Nobody reads the output any more: as a program ended by SIGPIPE."""


def _code(error: LosttickError) -> ExitCode:
    if isinstance(error, InputError):
        return ExitCode.USAGE
    if isinstance(error, UnfitError):
        return ExitCode.INCONCLUSIVE
    return ExitCode.HARNESS


@contextlib.contextmanager
def errors_to_exits(*, as_json: bool) -> Iterator[None]:
    """Turn losttick's errors and an interrupt into a message and an exit code."""
    try:
        yield
    except LosttickError as error:
        _leave(_code(error), f"losttick: {error}", as_json=as_json)
    except (BrokenPipeError, SystemExit):  # rich turns the one into the other
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(ExitCode.BROKEN_PIPE) from None
    except Exception as error:
        if "LOSTTICK_TRACEBACK" in os.environ or isinstance(error, typer.Exit):
            raise
        if isinstance(error, OSError):
            where = error.filename or "standard output"
            _leave(
                ExitCode.HARNESS, f"losttick: writing to {where}: {error.strerror}", as_json=False
            )
        what = f"{type(error).__name__}: {error}"
        _leave(
            ExitCode.HARNESS,
            f"losttick: a fault of its own: {what}. Nothing was learnt about this host. "
            "LOSTTICK_TRACEBACK=1 shows where it happened; please report that.",
            as_json=as_json,
        )
    except KeyboardInterrupt:
        _leave(ExitCode.INTERRUPTED, "losttick: interrupted", as_json=as_json)


def _leave(code: ExitCode, message: str, *, as_json: bool) -> NoReturn:
    typer.echo(message, err=True)
    if as_json:
        typer.echo(json.dumps({"verdict": None, "error": message.removeprefix("losttick: ")}))
    raise typer.Exit(code)


def run_async(start: Callable[[], Coroutine[Any, Any, ExitCode]]) -> ExitCode:
    """Run a command's coroutine; SIGTERM ends it as Ctrl-C does, after it has cleaned up.

    Raises:
        KeyboardInterrupt: it was ended so.
    """
    import asyncio  # a fifth of the time that `losttick --help` takes

    async def main() -> ExitCode:
        task = asyncio.current_task()
        assert task is not None
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await start()

    try:
        return asyncio.run(main())
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
