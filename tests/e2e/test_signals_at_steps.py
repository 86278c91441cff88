"""A signal in the midst of a step that takes long: the run ends soon, clean, and can go on.

Each step is held where it is: a process that it needs is stopped, or a shell that QEMU saves or
loads through waits.
"""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.campaign.resume import read_run
from orchestrator.results.result import read_result
from tests.support.command import losttick_command, started
from tests.support.journal import journal_dicts
from tests.support.processes import marked_processes, wait_until

#: Within so many seconds a signal ends a run, whatever it does.
END_S = 5.0

#: So long a busy computer may take to come to a step, in seconds.
COMES_S = 120

pytestmark = pytest.mark.timeout(400)

#: Stands for `cat` in QEMU's shell. Its Nth call, from 1, says that it has begun, and waits.
CAT = """#!/bin/sh
cd "$(dirname "$0")" || exit 1
here=$(pwd)
cd "$OLDPWD" || exit 1
echo >> "$here/calls"
if [ "$(wc -l < "$here/calls")" = {call} ]; then
    : > "$here/begun"
    while [ -e "$here/hold" ]; do sleep 0.05; done
fi
exec /bin/cat "$@"
"""


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of programs that come first; as long as it has the file `hold`, they wait."""
    (place := tmp_path / "programs").mkdir()
    (place / "hold").touch()
    monkeypatch.setenv("PATH", f"{place}:{os.environ['PATH']}")
    monkeypatch.setenv("LOSTTICK_QEMU_USER", "root" if os.geteuid() == 0 else "")
    yield place
    (place / "hold").unlink(missing_ok=True)


def command(accel: str, *args: str) -> list[str]:
    """Return a short run without controls, which would take most of its time."""
    goals = ["--period", "10", "--trials", "3", "--rule-out", "0.7", "--controls", "0"]
    return ["run", "--accel", accel, *goals, *args, "--out", "out"]


def planned(out: Path) -> bool:
    journal = out / "journal.jsonl"
    return journal.exists() and b'"record":"plan"' in journal.read_bytes()


def stopped_at_once(marker: str, words: str) -> int:
    """Stop the first process with these words in its command line, as soon as it is there."""
    until = time.monotonic() + COMES_S
    while time.monotonic() < until:
        for pid, line in marked_processes(marker).items():
            if words in line.replace("\0", " "):
                os.kill(pid, signal.SIGSTOP)
                return pid
    raise AssertionError(f"no {words} in {COMES_S} s")


def ends_soon_and_clean(process: "subprocess.Popen[str]", out: Path, how: signal.Signals) -> None:
    """Send a signal, and check what becomes of the run and of its journal."""
    began = time.monotonic()
    process.send_signal(how)
    _, err = process.communicate(timeout=60)
    took = time.monotonic() - began
    assert process.returncode == 130, err
    assert took < END_S
    assert "Traceback" not in err
    assert "losttick: interrupted" in err
    last = journal_dicts(out / "journal.jsonl")[-1]
    assert (last["record"], last["error"]) == ("interrupted", how.name)
    assert not read_run(out).finished


def goes_on(tmp_path: Path) -> None:
    done = subprocess.run(
        losttick_command("run", "--resume", "out"), cwd=tmp_path, capture_output=True, text=True,
        timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 6, done.stdout + done.stderr  # there was no control
    result = read_result(tmp_path / "out")
    assert result.interrupted is None
    assert result.cells[0].counts.trials >= 3  # on a busy host more, beside shams


@pytest.mark.parametrize(
    ("words", "how"),
    [
        ("-chardev socket,id=qmp", signal.SIGTERM),
        pytest.param("supervisor.py", signal.SIGINT, marks=pytest.mark.thorough),
    ],
    ids=["qemu", "supervisor"],
)
def test_in_the_midst_of_a_launch(
    tmp_path: Path, nothing_left_behind: str, best_accel: str, words: str, how: signal.Signals
) -> None:
    out = tmp_path / "out"
    with started(*command(best_accel), cwd=tmp_path) as process:
        assert wait_until(lambda: planned(out), COMES_S)
        stopped_at_once(nothing_left_behind, words)
        assert not [r for r in journal_dicts(out / "journal.jsonl") if r["record"] == "instance"]
        ends_soon_and_clean(process, out, how)
    assert wait_until(lambda: not marked_processes(nothing_left_behind), 10)
    goes_on(tmp_path)


@pytest.mark.parametrize(
    ("call", "how"),
    [
        (1, signal.SIGHUP),
        pytest.param(2, signal.SIGTERM, marks=pytest.mark.thorough),
    ],
    ids=["save", "load"],
)
def test_in_the_midst_of_a_save_or_a_load(
    tmp_path: Path, held: Path, best_accel: str, call: int, how: signal.Signals
) -> None:
    out = tmp_path / "out"
    (held / "cat").write_text(CAT.format(call=call))
    (held / "cat").chmod(0o755)
    with started(*command(best_accel, "--method", "exec"), cwd=tmp_path) as process:
        assert wait_until(lambda: (held / "begun").exists(), COMES_S)
        saves = [r for r in journal_dicts(out / "journal.jsonl") if r["record"] == "save"]
        assert bool(saves) is (call == 2)
        ends_soon_and_clean(process, out, how)
    (held / "hold").unlink()
    goes_on(tmp_path)
