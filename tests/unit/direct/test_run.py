"""The answers of the direct test's program."""

import asyncio
import contextlib
import itertools
import os
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orchestrator.cache.program import shipped
from orchestrator.clock import LocalClock
from orchestrator.direct.answers import ShortAnswerError, SilentProgramError, collect
from orchestrator.direct.program import build
from orchestrator.direct.run import NO_KVM, NoKvmError, run_program
from orchestrator.direct.wanted import LONG_PERIOD_NS, DirectTrials
from orchestrator.errors import InfraError
from orchestrator.findings.series import Series
from orchestrator.guest.lapic_mode import LapicMode
from orchestrator.testing.clock import FakeClock
from tests.support.processes import wait_until
from tests.support.starved import starved_process

RESTORE = (
    '{"series": "restore", "tmcct_ns": 7, "trials": 100, "lost": 3, "pending": 0, '
    '"mean_ns": 12, "seconds": 0.5}\n'
)
CONTROL = RESTORE.replace("restore", "control")

ONE, TWO = DirectTrials(100, 2000, (7,)), DirectTrials(100, 2000, (0, 7))


async def lines(*texts: str) -> AsyncIterator[str]:
    for text in texts:
        yield text


async def test_series_control_and_progress_are_read() -> None:
    done: list[int] = []
    words = ("BIOS says hello\n", '{"progress": 64}\n', RESTORE, CONTROL)
    found = await collect(lines(*words), ONE, FakeClock(), done.append)
    assert found.series == (Series(7, 100, 3, 0, 12, 0.5),)
    assert found.control.lost == 3
    assert done == [64]


@pytest.mark.parametrize(
    "line",
    [
        "{", "{}", '{"progress": "many"}', '{"progress": -1}', '{"series": "restore"}', "{" * 9999,
        '{"progress": true}', RESTORE.replace("100", "2"), RESTORE.replace("100", "-1"),
        RESTORE.replace("100", "1e9"), RESTORE.replace("0.5", "NaN"), RESTORE.replace("0.5", "{}"),
        RESTORE.replace("100", "9" * 30), RESTORE.replace("100", "9" * 5000), RESTORE[:-9],
        '{"a":' * 5000,
    ],
)  # fmt: skip
async def test_an_answer_that_makes_no_sense_is_none(line: str) -> None:
    """In a lab, the kernel under test runs the program."""
    with pytest.raises(InfraError, match="is no answer of it"):
        await collect(lines(line, CONTROL), ONE, FakeClock())


async def test_a_program_that_ends_early_is_no_result() -> None:
    with pytest.raises(ShortAnswerError, match="it answered 1 of 3 series"):
        await collect(lines(RESTORE), TWO, FakeClock())


@pytest.mark.parametrize("line", [RESTORE, '{"progress": %d}'])
async def test_more_answers_than_were_asked_for_are_none(line: str) -> None:
    async def endless() -> AsyncIterator[str]:
        for number in itertools.count():
            yield line % number if "%" in line else line

    with pytest.raises(InfraError, match="is no answer of it"):
        await collect(endless(), ONE, FakeClock())


class ClockOfStarted(LocalClock):
    """Lets no deadline begin before a program has written its number into a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def has_started(self) -> bool:
        return self.file.exists() and self.file.read_text().endswith("\n")

    @contextlib.asynccontextmanager
    async def deadline(self, ns: int) -> AsyncIterator[None]:  # type: ignore[override]
        assert await asyncio.to_thread(wait_until, self.has_started)
        async with super().deadline(ns):
            yield


@pytest.mark.parametrize(
    "job",
    [
        "sleep 1000",
        "while :; do echo hello; sleep 0.01; done",
        "while :; do echo hello >&2; sleep 0.01; done",
        "while :; do printf %065536d 1; sleep 0.01; done",
        "exec >&- 2>&-; sleep 1000",
        "sleep 1000 & wait",
    ],
)
async def test_a_program_of_this_host_that_says_nothing_new_is_killed(
    tmp_path: Path, job: str
) -> None:
    program, clock = tmp_path / "probe", ClockOfStarted(tmp_path / "pid")
    program.write_text(f"#!/bin/sh\necho $$ > {clock.file}\n{job}\n")
    program.chmod(0o755)
    with pytest.raises(SilentProgramError, match="said nothing new"):
        await asyncio.wait_for(run_program(program, ONE, clock=clock, within_ns=10**9), 90)
    with pytest.raises(ProcessLookupError):
        os.kill(int(clock.file.read_text()), 0)


async def test_a_program_of_this_host_that_gets_no_cpu_may_be_run_again(tmp_path: Path) -> None:
    program, cpu = tmp_path / "probe", min(os.sched_getaffinity(0))
    program.write_text(f"#!/bin/sh\nexec taskset -c {cpu} sh -c 'while :; do :; done'\n")
    program.chmod(0o755)
    with starved_process(), pytest.raises(SilentProgramError) as caught:
        await run_program(program, ONE, clock=LocalClock(), within_ns=10**9)
    assert caught.value.transient
    assert "0 of 2 series (it waited for a CPU for" in str(caught.value)
    assert "Run it while this computer is less busy" in str(caught.value)


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (3, NoKvmError, "/dev/kvm: no."),
        (4, InfraError, "it ended with exit status 4: /dev/kvm: no"),
    ],
)
async def test_the_exit_code_tells_a_host_without_kvm(
    tmp_path: Path, code: int, error: type[Exception], words: str
) -> None:
    program = tmp_path / "probe"
    program.write_text(f"#!/bin/sh\necho /dev/kvm: no >&2\nexit {code}\n")
    program.chmod(0o755)
    with pytest.raises(error, match=re.escape(words)):
        await run_program(program, DirectTrials(100, 2000, (0,)))


@pytest.mark.parametrize(
    "words", ["Cannot allocate memory", "Device or resource busy", "I/O error"]
)
async def test_a_host_without_room_is_asked_again_later(tmp_path: Path, words: str) -> None:
    program = tmp_path / "probe"
    program.write_text(f"#!/bin/sh\necho KVM_CREATE_VM: {words} >&2\nexit 4\n")
    program.chmod(0o755)
    with pytest.raises(InfraError, match=words) as failed:
        await run_program(program, ONE)
    assert failed.value.transient is (words != "I/O error")


def test_the_exit_code_is_the_program_s_own() -> None:
    assert f"#define NO_KVM {NO_KVM}\n" in shipped("probe.c", "probe").read_text()


def test_the_shortest_period_is_the_program_s_own() -> None:
    source = shipped("probe.c", "probe").read_text()
    assert f"#define LONG_PERIOD_NS {LONG_PERIOD_NS}u\n" in source


def test_the_control_comes_last() -> None:
    wanted = DirectTrials(100, 2000, (0, 7))
    assert wanted.arguments == ["one-shot", "100", "2000", "0", "7", "--", "control", "5"]
    assert wanted.total == 200


def test_a_slow_series_is_short() -> None:
    wanted = DirectTrials(20_000, 2000, (0, 1_000_000), LapicMode.PERIODIC)
    series = wanted.arguments[:-3]
    assert series == ["periodic", "20000", "2000", "0x1000", "1000000x1000"]
    assert wanted.total == 2000


@pytest.mark.parametrize("args", [(), ("snapshot", "9", "9", "0"), ("one-shot", "9", "9")])
def test_the_program_says_what_it_takes(args: tuple[str, ...]) -> None:
    done = subprocess.run([build(), *args], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("usage: probe MODE TRIALS PERIOD_NS")
