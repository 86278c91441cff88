"""Exit codes: how verdicts, errors and signals become them."""

import asyncio
import contextlib
import os
from collections.abc import Callable, Collection, Coroutine, Iterator
from contextvars import ContextVar
from typing import Any, NoReturn, TypeVar

import typer

from orchestrator.cli import interrupts
from orchestrator.cli.service import as_service, service
from orchestrator.cli.streams import end_streams
from orchestrator.cli.text import print_json, say_error
from orchestrator.errors import InfraError, InputError, LosttickError, UnfitError, says_no_room
from orchestrator.results.exit_code import GRAVITY as GRAVITY
from orchestrator.results.exit_code import ExitCode as ExitCode
from orchestrator.results.exit_code import FailOn as FailOn
from orchestrator.results.exit_code import despite_output as despite_output
from orchestrator.results.exit_code import gravest as gravest
from orchestrator.results.exit_code import result_exit as result_exit

_INTERRUPTED = "interrupted"

Code = TypeVar("Code", bound=int)

_AS_JSON: ContextVar[bool] = ContextVar("as_json", default=False)


def error_exit(error: LosttickError) -> ExitCode:
    """Return the exit code of an error, by the family that it belongs to."""
    if isinstance(error, InputError):
        return ExitCode.USAGE
    if isinstance(error, UnfitError):
        return ExitCode.UNFIT
    transient = isinstance(error, InfraError) and error.transient
    return ExitCode.INCONCLUSIVE if transient else ExitCode.HARNESS


#: Advice for a person whose host refuses losttick a file, a process, a thread or memory.
_MORE_ROOM = (
    "A limit is used up: allow more open files (`ulimit -n`), more processes and threads "
    "(`ulimit -u`, or pids.max of the control group) or more memory"
)


@contextlib.contextmanager
def errors_to_exits(*, as_json: bool, fail_on: Collection[FailOn] | None = None) -> Iterator[None]:
    """Turn losttick's errors and an interrupt into a message and an exit code.

    Args:
        as_json: whether to print the message as a JSON object on standard output, too.
        fail_on: the kinds of errors that end with a code other than 0; None or none for all.
            A fault of usage, a plan or a journal always does: nothing was tested. So does a
            result that can't be written.
    """
    said = _AS_JSON.set(as_json)
    try:
        with interrupts.raised():
            yield
    except LosttickError as error:
        code = error_exit(error)
        code = gravest([code], fail_on) if code in GRAVITY and not error.unwritten else code
        _leave(code, str(error), as_json=as_json, of_subject=error.of_subject)
    except Exception as error:
        if "LOSTTICK_TRACEBACK" in os.environ or isinstance(error, typer.Exit):
            raise
        if isinstance(error, FileNotFoundError) and _here_is_gone():
            message = "the current folder was removed: change to another one"
            _leave(ExitCode.USAGE, message, as_json=as_json)
        if isinstance(error, OSError) and error.filename is not None:
            doing = f"using {os.fsdecode(error.filename)}"
            _leave(ExitCode.HARNESS, f"{doing}: {error.strerror}", as_json=as_json)
        if says_no_room(str(error)) or "can't start new thread" in str(error):
            words = error.strerror if isinstance(error, OSError) else str(error)
            _leave(ExitCode.HARNESS, f"{words}. {_MORE_ROOM}", as_json=as_json)
        _leave(
            ExitCode.HARNESS,
            f"a fault in losttick itself: {type(error).__name__}: {error}. Nothing was learnt "
            "about this host. Run again with LOSTTICK_TRACEBACK=1 to see where it happened, and "
            "please report that.",
            as_json=as_json,
        )
    except KeyboardInterrupt:
        _leave(ExitCode.INTERRUPTED, _INTERRUPTED, as_json=as_json)
    finally:
        _AS_JSON.reset(said)


def _here_is_gone() -> bool:
    try:
        os.getcwd()  # noqa: PTH109  # nothing else is asked
    except FileNotFoundError:
        return True
    return False


def usage_error(called: str, message: str, *, as_json: bool) -> ExitCode:
    """Print what is wrong with the arguments of a command; return the exit code."""
    _say(f"{message.rstrip('.')}. See `{called} --help`.", as_json=as_json)
    return ExitCode.USAGE


def _leave(code: ExitCode, message: str, *, as_json: bool, of_subject: bool = False) -> NoReturn:
    _say(message, as_json=as_json, of_subject=of_subject)
    raise typer.Exit(code)


def _say(message: str, *, as_json: bool, of_subject: bool = False) -> None:
    say_error(message)
    if as_json:
        untestable = {"untestable": True} if of_subject else {}
        print_json({"verdict": None, "error": message, **untestable})


def run_async(start: Callable[[], Coroutine[Any, Any, Code]]) -> Code:
    """Run a command's coroutine. Ctrl-C, SIGTERM and SIGHUP cancel it, so that it cleans up.

    Raises:
        KeyboardInterrupt: a signal ended it.
    """

    def last_words() -> None:
        _say(_INTERRUPTED, as_json=_AS_JSON.get())
        end_streams(interrupts.LAST_S)

    async def main(signals: interrupts.Cancelling) -> Code:
        task = asyncio.current_task()
        assert task is not None
        signals.follow(task, asyncio.get_running_loop())
        async with as_service():
            return await start()

    try:
        with (
            interrupts.Cancelling(service().stopping, last_words) as signals,
            asyncio.Runner() as runner,
        ):
            return runner.run(main(signals))
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
