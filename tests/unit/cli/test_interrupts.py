"""Signals to a command that does not end by itself."""

import json
import signal
import subprocess
import sys

import pytest

from orchestrator.cli import interrupts
from tests.support.command import heed
from tests.support.stalled import stalled_pipe

ALL = ("stdout", "stderr")

#: A command that cleans up for ever, or blocks the event loop; the second signal ends it sooner.
PROGRAM = """
import asyncio, contextlib, os, time, typer
from orchestrator.cli import interrupts
from orchestrator.cli.exits import errors_to_exits, run_async
from orchestrator.cli.streams import Streams, end_streams

interrupts.END_S, interrupts.SECOND_S = {end_s}, 0.1
Streams()

async def command():
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), {number})
    if {blocks}:
        asyncio.get_running_loop().call_later(0.1, time.sleep, 1000)
    try:
        await asyncio.sleep(1000)
    finally:
        if {again}:
            os.kill(os.getpid(), {number})
        while True:  # being cancelled again does not end it
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(1000)

try:
    with errors_to_exits(as_json=True):
        run_async(command)
except typer.Exit as end:
    end_streams()
    os._exit(end.exit_code)
"""


@pytest.mark.parametrize(
    ("number", "end_s", "again", "blocks"),
    [
        (signal.SIGINT, 0.2, False, False),
        (signal.SIGTERM, 0.2, False, False),
        (signal.SIGHUP, 0.2, False, False),
        (signal.SIGTERM, 0.2, False, True),
        (signal.SIGINT, 1e6, True, False),
        (signal.SIGHUP, 1e6, True, False),
    ],
)
def test_a_command_that_does_not_end_is_ended(
    number: signal.Signals, end_s: float, again: bool, blocks: bool
) -> None:
    program = PROGRAM.format(number=int(number), end_s=end_s, again=again, blocks=blocks)
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False,
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL) and None,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "losttick: interrupted\n")
    assert json.loads(done.stdout) == {"verdict": None, "error": "interrupted"}


#: A command whose output nobody reads, and which gets a signal while it works.
STALLED = """
import asyncio, os, sys
from orchestrator import cli
from orchestrator.cli import exits, interrupts, root, streams

interrupts.END_S, interrupts.LAST_S = 0.5, 0.2

async def command():
    streams.print_bytes(b"flows", now=True)
    print("kept")
    asyncio.get_running_loop().call_later(0.1, os.kill, os.getpid(), {number})
    await asyncio.sleep(1000)

def work():
    with exits.errors_to_exits(as_json={as_json}):
        if {loop}:
            exits.run_async(command)
        print("kept")
        os.kill(os.getpid(), {number})

def dispatch(*_):
    try:
        work()
    except exits.typer.Exit as end:
        return end.exit_code

root._dispatch = dispatch
cli.main()
"""


@pytest.mark.parametrize("loop", [False, True])
@pytest.mark.parametrize("stalled", [["stdout"], ["stderr"], ["stdout", "stderr"]])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_reader_that_has_stalled_keeps_no_command_that_is_told_to_end(
    number: signal.Signals, stalled: list[str], loop: bool
) -> None:
    program = STALLED.format(number=int(number), as_json=True, loop=loop)
    with stalled_pipe() as (_, full):
        outputs = {name: full if name in stalled else subprocess.DEVNULL for name in ALL}
        with subprocess.Popen([sys.executable, "-c", program], preexec_fn=heed, **outputs) as done:
            try:
                assert done.wait(timeout=50) == 130
            finally:
                done.kill()


@pytest.mark.parametrize("loop", [False, True])
def test_a_standard_error_that_has_stalled_keeps_no_results_back(loop: bool) -> None:
    """The time that is left is less than what a stalled standard error is waited for otherwise."""
    program = STALLED.format(number=int(signal.SIGTERM), as_json=True, loop=loop)
    with stalled_pipe() as (_, full):
        done = subprocess.run(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=full, timeout=50,
            check=False, preexec_fn=heed,
        )  # fmt: skip
    assert done.returncode == 130
    results = done.stdout.decode().removeprefix("flows")
    assert results.startswith("kept\n")
    assert json.loads(results.removeprefix("kept\n")) == {"verdict": None, "error": "interrupted"}


#: A command that waits, while a thread gets the signal: the kernel may choose any thread.
IN_A_THREAD = """
import asyncio, os, signal, threading, time, typer
from orchestrator.cli.exits import errors_to_exits, run_async

def hit():
    time.sleep(0.2)
    signal.pthread_kill(threading.get_ident(), {number})

async def command():
    threading.Thread(target=hit).start()
    await asyncio.sleep(20)

try:
    with errors_to_exits(as_json=False):
        run_async(command)
except typer.Exit as end:
    os._exit(end.exit_code)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_another_thread_interrupts_a_command_that_waits(number: signal.Signals) -> None:
    """As does one that comes just before the event loop begins to wait."""
    done = subprocess.run(
        [sys.executable, "-c", IN_A_THREAD.format(number=int(number))], check=False, timeout=15,
        preexec_fn=heed, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, "losttick: interrupted\n")


def test_a_signal_while_another_is_told_of_is_told_of_after_it() -> None:
    told: list[str] = []

    def on_signal() -> None:
        told.append("begins")
        if len(told) == 1:
            signal.raise_signal(signal.SIGHUP)
        told.append("ends")

    before = signal.signal(signal.SIGHUP, lambda number, frame: None)
    try:
        with interrupts.put_off(on_signal) as interrupted:
            signal.raise_signal(signal.SIGHUP)
            assert interrupted()
    finally:
        signal.signal(signal.SIGHUP, before)
    assert told == ["begins", "ends"] * 2


def test_an_ignored_signal_stays_ignored() -> None:
    """`nohup` wants it so."""
    program = (
        "import os, signal\n"
        "from orchestrator.cli import interrupts\n"
        "interrupts.exit_at_once()\n"
        "with interrupts.raised():\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
        "os.kill(os.getpid(), signal.SIGHUP)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN) and None,
    )  # fmt: skip
    assert done.returncode == 0
