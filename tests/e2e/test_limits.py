"""Few files, processes or bytes, and a clock that jumps: a sentence, and no accusation."""

import json
import os
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.vm.config import Accel
from tests.support.cgroups import control_group
from tests.support.clock_jumps import build_clock_jumps
from tests.support.command import losttick_command
from tests.support.journal import journal_dicts

#: A run that is over soon. Each save is loaded once, so that QEMU starts its threads often.
QUICK = (
    "run", "--json", "--period", "15.625", "--trials", "12", "--rule-out", "0.3",
    "--loads-per-save", "1", "--seed", "1",
)  # fmt: skip

#: Exit codes of a run that got an answer, that got none, and whose harness failed.
HONEST = frozenset({0, 3, 4, 6})


def run_under(
    limit: Callable[[], None], tmp_path: Path, *args: str, env: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the command under a limit, and check that it accuses nobody and explains itself."""
    done = subprocess.run(
        losttick_command(*QUICK, *args, "--out", "out"), cwd=tmp_path, preexec_fn=limit,
        env=os.environ | (env or {}), capture_output=True, text=True, timeout=110, check=False,
    )  # fmt: skip
    print(done.returncode, done.stderr[-1000:])
    assert done.returncode in HONEST, done.stderr
    assert "Traceback" not in done.stderr
    assert "a fault in losttick itself" not in done.stderr
    journal = tmp_path / "out" / "journal.jsonl"
    if journal.exists() and journal.stat().st_size:
        outcomes = {r["outcome"] for r in journal_dicts(journal) if r["record"] == "trial"
                    and r["role"] == "host"}  # fmt: skip
        assert not outcomes & {"lost", "crashed"}, outcomes
    return done


def limited(which: int, limit: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(which, (limit, limit))


@pytest.mark.parametrize("files", [10, 18])
def test_few_open_files(files: int, tmp_path: Path, best_accel: Accel) -> None:
    done = run_under(limited(resource.RLIMIT_NOFILE, files), tmp_path, "--accel", best_accel)
    assert "Too many open files" in done.stderr


@pytest.mark.parametrize("size", [3_000])
def test_small_files(size: int, tmp_path: Path, best_accel: Accel) -> None:
    done = run_under(limited(resource.RLIMIT_FSIZE, size), tmp_path, "--accel", best_accel)
    assert done.returncode == 4
    assert "File too large" in done.stderr


@pytest.mark.parametrize("tasks", [2, pytest.param(4, marks=pytest.mark.thorough), 6])
def test_few_processes(tasks: int, tmp_path: Path, best_accel: Accel) -> None:
    with control_group("pids", tasks) as group:
        done = run_under(group.join, tmp_path, "--accel", best_accel)
    named = ("A limit is used up", "Resource temporarily unavailable")
    # With so few, losttick can't even start the thread that writes its words.
    assert done.returncode == 0 or any(words in done.stderr for words in named[: max(1, tasks - 2)])


@pytest.mark.parametrize("tasks", [1, 4])
def test_few_processes_of_the_user(tasks: int, tmp_path: Path, best_accel: Accel) -> None:
    """No such limit binds root. But QEMU gives up root before it starts its threads."""
    limit = limited(resource.RLIMIT_NPROC, tasks)
    done = run_under(limit, tmp_path, "--accel", best_accel)
    assert done.returncode in {4, 6}
    words = done.stderr + done.stdout
    assert "Resource temporarily unavailable" in words or "A limit is used up" in words


@pytest.mark.thorough
@pytest.mark.parametrize("mib", [100, 120, 150])
def test_little_memory(mib: int, tmp_path: Path, best_accel: Accel) -> None:
    """The kernel kills whoever is largest."""
    with control_group("memory", mib << 20) as group:
        done = subprocess.run(
            losttick_command(*QUICK, "--accel", best_accel, "--out", "out"), cwd=tmp_path,
            preexec_fn=group.join, capture_output=True, text=True, timeout=110, check=False,
        )  # fmt: skip
        print(done.returncode, done.stderr[-1000:])
        assert done.returncode in {*HONEST, -9}, done.stderr


@pytest.mark.thorough
@pytest.mark.parametrize("mode", ["one-shot", "rtc"])
def test_jumps_of_the_time_of_day(mode: str, tmp_path: Path, best_accel: Accel) -> None:
    """The clock that an administrator or NTP sets jumps by hours, for losttick and for QEMU."""
    library = build_clock_jumps(tmp_path)
    env = {"LD_PRELOAD": str(library)}
    done = run_under(lambda: None, tmp_path, "--accel", best_accel, "--mode", mode, env=env)
    assert done.returncode == 0, done.stdout
    dates = [
        r["at"]
        for r in map(json.loads, (tmp_path / "out" / "journal.jsonl").read_text().splitlines())
    ]
    assert dates != sorted(dates), "the clock did not jump"
