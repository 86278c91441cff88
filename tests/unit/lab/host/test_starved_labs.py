"""A lab whose emulator gets no CPU: not the harness's failure, as that of one that is stuck is."""

import contextlib
import os
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from orchestrator.campaign.run import run_cells
from orchestrator.campaign.schedule import Assignment
from orchestrator.clock import Deadlines
from orchestrator.direct.wanted import DirectTrials
from orchestrator.errors import InfraError
from orchestrator.findings.lab import LabIdentity
from orchestrator.lab.direct import count_in_lab
from orchestrator.lab.emulator.bochs import Bochs
from orchestrator.lab.emulator.boot import LabError
from orchestrator.lab.host.boot import boot
from orchestrator.lab.host.frames import encode
from orchestrator.lab.host.host import LabHost
from orchestrator.lab.host.image import LabImage
from orchestrator.plan.load import build_plan
from orchestrator.results.exit_code import ExitCode, result_exit
from orchestrator.testing import FACTS
from orchestrator.vm.config import Accel
from tests.support.starved import starved_process

PLAN = build_plan({"limits": {"trials": 2, "rule_out": 0.9}}, "test")

#: Stands for the emulator: says what it is given, then keeps silent in one of three ways.
EMULATOR = """\
#!{python} -IS
import os, re, signal, time
for answer in {answers}:
    line = int(re.search(r"dev=fd:(\\d+)", open("bochsrc").read())[1])
    if answer != {hello}:
        os.read(line, 65536)
    os.write(2, b"LAB kernel 6.1\\nLAB vmx apicv\\n")
    os.write(line, answer)

def speak():
    os.write(2, b"its last words\\n")  # what this program waited for until now counts no more

def speak_once_it_is(state):
    emulator = os.getpid()
    if not os.fork():
        while open(f"/proc/{{emulator}}/stat").read().rpartition(")")[2].split()[0] != state:
            time.sleep(0.01)
        speak()
        os._exit(0)

if {how!r} == "stopped":
    speak_once_it_is("T")
    os.kill(os.getpid(), signal.SIGSTOP)
elif {how!r} == "asleep":
    speak_once_it_is("S")
    time.sleep(600)
speak()
os.sched_setaffinity(0, {{{cpu}}})
while True:
    pass
"""

HELLO = encode(b"h", 0, b"")

#: The agent's answers to a request for a folder, and to one that starts a program.
PROGRAM_STARTS = (HELLO, encode(b"r", 0, b"0 "), encode(b"r", 0, b"0 42"))

SHORT_NS = 400_000_000

HOWS = ("starved", "stopped", "asleep")


@pytest.fixture(params=HOWS)
def how(request: pytest.FixtureRequest) -> Iterator[str]:
    """Why the emulator is silent. Other programs want its CPU if it is starved."""
    chosen = str(request.param)
    with starved_process() if chosen == "starved" else contextlib.nullcontext():
        yield chosen


def image(place: Path, how: str, answers: tuple[bytes, ...]) -> LabImage:
    program, cpu = place / "emulator", min(os.sched_getaffinity(0))
    program.write_text(
        EMULATOR.format(python=sys.executable, answers=answers, hello=HELLO, how=how, cpu=cpu)
    )
    program.chmod(0o755)
    bochs = Bochs(program, place, place, "a Bochs of the test's")
    made = SimpleNamespace(
        bochs=bochs, cd=lambda: b"", memory_mib=1, cpus=1, qemu="qemu", qemu_facts=None
    )
    return cast(LabImage, made)


def assert_told(error: InfraError, how: str) -> None:
    starved = how == "starved"
    assert error.transient is starved, error
    assert ("the emulator waited for a CPU for" in str(error)) is starved
    assert ("Run it while this computer is less busy" in str(error)) is starved


@pytest.mark.parametrize(
    "deadlines",
    [Deadlines(lab_boot_ns=5 * SHORT_NS), Deadlines(lab_silence_ns=SHORT_NS)],
    ids=["boot", "silence"],
)
async def test_a_lab_that_does_not_boot_ends_a_run(
    tmp_path: Path, how: str, deadlines: Deadlines
) -> None:
    errors: list[LabError] = []

    @contextlib.asynccontextmanager
    async def open_host() -> AsyncIterator[LabHost]:
        try:
            async with boot(image(tmp_path, how, ()), FACTS, None, deadlines) as host:
                yield host
        except LabError as error:
            errors.append(error)
            raise

    (cell,) = PLAN.cells(Accel.KVM)
    lab = LabIdentity("6.1.0-48", "6.1.176", "untouched", True, "Bochs", None)
    assignment = Assignment(
        replace(cell, host=lab.name), open_host, lab=SimpleNamespace(identity=lambda: lab)
    )
    out = tmp_path / "out"
    out.mkdir()
    result = await run_cells([assignment], FACTS, PLAN, out)
    (error,) = errors
    assert_told(error, how)
    expected = ExitCode.INCONCLUSIVE if how == "starved" else ExitCode.HARNESS
    assert result_exit(result.ends, None) is expected, result.cells[0].why


async def test_a_lab_that_falls_silent_ends_the_direct_test(tmp_path: Path, how: str) -> None:
    """By the lab's own deadline, however short that of the program's news is."""
    deadlines = Deadlines(lab_silence_ns=SHORT_NS, direct_news_ns=SHORT_NS // 4)
    made = image(tmp_path, how, PROGRAM_STARTS)
    async with boot(made, FACTS, None, deadlines) as host:
        with pytest.raises(InfraError, match="the emulator stalled: no word in") as caught:
            await count_in_lab(host, DirectTrials(1, 4_000_000, (0,)))
        assert_told(caught.value, how)
        assert host.trouble is caught.value


async def test_a_lab_that_falls_silent_ends_its_program(tmp_path: Path, how: str) -> None:
    """Why the lab ended is said, not that its program ended with it."""
    deadlines = Deadlines(lab_silence_ns=SHORT_NS)
    made = image(tmp_path, how, PROGRAM_STARTS)
    async with boot(made, FACTS, None, deadlines) as host:
        with pytest.raises(LabError, match="the emulator stalled: no word in") as caught:
            async for line in host.run(["/bin/probe"]):
                pytest.fail(line)
        assert_told(caught.value, how)
        assert host.trouble is caught.value
        with pytest.raises(InfraError) as after:
            await host.start_qemu([], {})
        assert_told(after.value, how)
