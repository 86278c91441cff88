"""A signal ends a command within 5 s, whatever reader of its output has stalled."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from orchestrator.campaign.resume import read_run
from tests.support.command import heed, losttick_command
from tests.support.journal import journal_dicts
from tests.support.processes import marked_processes, wait_until
from tests.support.run_folders import OLD_JOURNALS, make_run_folder
from tests.support.stalled import stalled_fifo, stalled_pipe

#: Within so many seconds a signal ends a command (docs/long-runs.md).
PROMISED_S = 5.0

#: So long a busy computer may take to come to a step, in seconds.
COMES_S = 120

pytestmark = [pytest.mark.thorough, pytest.mark.alone, pytest.mark.timeout(400)]


@contextlib.contextmanager
def with_stalled(
    stalled: Sequence[str], args: Sequence[str], cwd: Path
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start the command with outputs of which some have stalled: stdout, stderr, report, events."""
    with contextlib.ExitStack() as held:
        outputs = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        for name in outputs.keys() & stalled:
            outputs[name] = held.enter_context(stalled_pipe())[1]
        for name in {"report", "events"} & set(stalled):
            held.enter_context(stalled_fifo(cwd / name))
        process = subprocess.Popen(
            losttick_command(*args), cwd=cwd, preexec_fn=heed, stdin=subprocess.DEVNULL,
            stdout=outputs["stdout"], stderr=outputs["stderr"],
        )  # fmt: skip
        try:
            yield process
        finally:
            process.kill()
            process.wait()


def ended_in_time(process: "subprocess.Popen[bytes]", how: signal.Signals) -> None:
    began = time.monotonic()
    process.send_signal(how)
    code = process.wait(timeout=60)
    took = time.monotonic() - began
    print(f"{how.name}: ended after {took:.2f} s")
    assert code == 130
    assert took < PROMISED_S


RUNS = {
    "ktap": (["stdout"], ["--report", "ktap=-"]),
    "json": (["stdout"], ["--json"]),
    "table": (["stdout"], []),
    "stderr": (["stderr"], []),
    "stdout-stderr": (["stdout", "stderr"], ["--report", "ktap=-"]),
    "report": (["report"], ["--report", "junit=report"]),
    "events": (["events"], ["--events", "events"]),
    "all": (
        ["stdout", "stderr", "report", "events"],
        ["--report", "ktap=-", "--report", "junit=report", "--events", "events"],
    ),
}


CASES = [(case, signal.SIGTERM) for case in RUNS]


@pytest.mark.parametrize(("case", "how"), [*CASES, ("all", signal.SIGINT), ("all", signal.SIGHUP)])
def test_a_run(
    tmp_path: Path, nothing_left_behind: str, best_accel: str, case: str, how: signal.Signals
) -> None:
    stalled, args = RUNS[case]
    journal = tmp_path / "out" / "journal.jsonl"

    def tried() -> bool:
        return journal.exists() and b'"record":"trial"' in journal.read_bytes()

    run = ["run", "--accel", best_accel, "--period", "10", "--trials", "100000", "--controls", "0"]
    with with_stalled(stalled, [*run, "--out", "out", *args], tmp_path) as process:
        assert wait_until(tried, COMES_S)
        ended_in_time(process, how)
    last = journal_dicts(journal)[-1]
    assert (last["record"], last["error"]) == ("interrupted", how.name)
    assert not read_run(tmp_path / "out").finished
    assert wait_until(lambda: not marked_processes(nothing_left_behind), 10)


@pytest.mark.parametrize(
    ("stalled", "args"),
    [
        (["report"], ["--junit", "report"]),
        (["stdout"], ["--junit", "-"]),
        (["stdout", "stderr", "report"], ["--ktap", "-", "--junit", "report"]),
    ],
)
def test_a_command_without_an_event_loop(
    tmp_path: Path, stalled: list[str], args: list[str]
) -> None:
    """It waits for the reader until it is told to end."""
    make_run_folder(next(iter(OLD_JOURNALS)), tmp_path / "run")
    with with_stalled(stalled, ["report", "run", *args], tmp_path) as process:
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=PROMISED_S + 2)
        ended_in_time(process, signal.SIGTERM)


def test_a_slow_reader_is_waited_for(tmp_path: Path) -> None:
    """Longer than a signal would leave it time."""
    with stalled_pipe() as (reader, writer):
        process = subprocess.Popen(losttick_command("--help"), stdout=writer)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(timeout=PROMISED_S + 2)
        os.set_blocking(reader, False)
        text = bytearray()

        def read_on() -> bool:
            with contextlib.suppress(BlockingIOError):
                text.extend(os.read(reader, 65536))
            return process.poll() is not None

        assert wait_until(read_on)
        read_on()
    assert process.returncode == 0
    assert text.rstrip().endswith(b"lists the options of a command.")
