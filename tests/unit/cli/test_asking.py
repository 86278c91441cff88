"""A person is asked before a guest in use is set back; no answer is no yes, and a signal none."""

import os
import signal
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, cast

import pytest

from orchestrator.attached.errors import TargetError
from orchestrator.bugs.exposure import ExposureState
from orchestrator.cli import attach_loads
from tests.support.command import heed

#: An emulator that runs, as far as the question; an answer yes ends with 3.
PROGRAM = """
import importlib, sys
from orchestrator.errors import UnfitError
from orchestrator.android.running import Running
module = importlib.import_module("orchestrator.cli.android")
module.the_running = lambda sdk, avd: Running("phone", 1, 5554, None)

def agreed(sdk, named):
    raise UnfitError("the answer was yes")

module._optional_adb = agreed
sys.argv = ["losttick", "android", "--attach", "--loads", "1"]
importlib.import_module("orchestrator.cli").main()
"""

QUESTION = "Go on? [y/N] "


#: The same, but another thread gets a SIGTERM, so that the read of the answer goes on.
IN_A_THREAD = """
import signal, threading
hit = lambda: signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
threading.Timer(2, hit).start()
"""


def asked(before: str = "", **given: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", before + PROGRAM], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}, **given,
    )  # fmt: skip


def until_the_question(program: "subprocess.Popen[bytes]") -> str:
    assert program.stderr is not None
    said = b""
    while not said.endswith(QUESTION.encode()) and (more := program.stderr.read(1)):
        said += more
    return said.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_at_the_question_interrupts(number: signal.Signals) -> None:
    with asked(stdin=subprocess.PIPE, preexec_fn=heed) as program:
        assert until_the_question(program).endswith(QUESTION)
        program.send_signal(number)
        assert program.wait(30) == 130
        assert program.stderr is not None
        assert program.stderr.read().endswith(b"losttick: interrupted\n")


def test_a_signal_that_does_not_end_the_read_interrupts_all_the_same() -> None:
    """One that comes just before the read begins does not end it either."""
    with asked(IN_A_THREAD, stdin=subprocess.PIPE, preexec_fn=heed) as program:
        assert until_the_question(program).endswith(QUESTION)
        try:
            assert program.wait(10) == 130
        finally:
            program.kill()


@pytest.mark.parametrize(
    ("answer", "code"),
    [(b"y\n", 3), (b" YES \n", 3), (b"", 2), (b"\xff\n", 2)],
)
def test_only_yes_is_yes(answer: bytes, code: int) -> None:
    with asked(stdin=subprocess.PIPE) as program:
        said = program.communicate(answer, timeout=30)[1].decode()
    assert QUESTION in said
    assert (program.returncode, "the answer was not yes" in said) == (code, code == 2)


def test_without_an_input_nobody_can_be_asked() -> None:
    with asked(preexec_fn=lambda: os.close(0)) as program:
        said = program.communicate(timeout=30)[1].decode()
    assert program.returncode == 2
    assert "nobody can be asked, because there is no standard input" in said
    assert "--yes" in said


async def test_without_an_input_no_loads_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    target = types.SimpleNamespace(name="a guest")
    fit = types.SimpleNamespace(disks=[], snapshots=[])
    exposure = types.SimpleNamespace(state=ExposureState.NOT_EXPOSED)
    watching, wanted = types.SimpleNamespace(exposure=exposure), types.SimpleNamespace(loads=1)
    with pytest.raises(TargetError, match=r"nobody can be asked.*no standard input.*--yes"):
        await attach_loads._ask(*cast("Any", (target, fit, watching, wanted)))
