"""Results whose words can't be written, or that nobody reads."""

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.testing import Script, immediate, lost
from tests.support.command import losttick_command
from tests.support.cut_short_runs import go_on
from tests.support.prepared_process import PreparedProcess
from tests.support.virtual_time import in_virtual_time


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a clean and an affected run."""
    place = tmp_path_factory.mktemp("runs")
    for name, kind in (("clean", immediate), ("affected", lost)):
        (place / name).mkdir()
        in_virtual_time(partial(go_on, place / name, Script(kind)))
    return place


@pytest.fixture(scope="module")
def prepared() -> Iterator[PreparedProcess]:
    with PreparedProcess() as parent:
        yield parent


@pytest.fixture
def unread() -> Iterator[int]:
    """Return the end of a pipe whose other end is closed."""
    read, write = os.pipe()
    os.close(read)
    yield write
    os.close(write)


def losttick(*args: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.run(losttick_command(*args), text=True, check=False, timeout=60, **streams)


COMMANDS = pytest.mark.parametrize(
    ("args", "code"),
    [(("rnu",), 2), (("show", "--bogus"), 2), (("show", "/none"), 2), (("show", "clean"), 0)],
    ids=["mistyped", "usage", "input", "clean"],
)


def answers(stdout: str, args: tuple[str, ...], code: int) -> bool:
    if args == ("rnu",):
        return True
    verdict = json.loads(stdout)["verdict"]
    return bool(verdict == ("clean" if code == 0 else None))


@COMMANDS
def test_the_exit_code_survives_a_full_stderr(
    prepared: PreparedProcess, runs: Path, tmp_path: Path, args: tuple[str, ...], code: int
) -> None:
    out = tmp_path / "out"
    assert prepared.code(*args, "--json", cwd=runs, stdout=out, stderr="/dev/full") == code
    assert answers(out.read_text(), args, code)


@COMMANDS
def test_the_exit_code_survives_a_stderr_that_nobody_reads(
    unread: int, runs: Path, args: tuple[str, ...], code: int
) -> None:
    done = losttick(*args, "--json", cwd=runs, stderr=unread)
    assert done.returncode == code
    assert answers(done.stdout, args, code)


@pytest.mark.parametrize(("run", "code"), [("clean", 4), ("affected", 1)])
def test_a_full_stdout_is_no_finding(
    prepared: PreparedProcess, runs: Path, tmp_path: Path, run: str, code: int
) -> None:
    err = tmp_path / "err"
    assert prepared.code("show", run, cwd=runs, stdout="/dev/full", stderr=err) == code
    said = "losttick: writing to standard output: No space left on device\n"
    assert err.read_text() == said


def test_a_stdout_that_nobody_reads_is_no_finding(unread: int, runs: Path) -> None:
    done = losttick("show", "affected", cwd=runs, stdout=unread)
    assert (done.returncode, done.stderr) == (141, "")


def test_a_terminal_that_hung_up_reads_nothing(runs: Path) -> None:
    ours, theirs = pty.openpty()
    os.close(ours)
    done = losttick("show", "clean", cwd=runs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    assert done.returncode == 141


def test_a_name_in_another_encoding_is_printed(runs: Path) -> None:
    """Neither bytes that are no UTF-8, nor a terminal that can print only ASCII, end a command."""
    name = os.fsdecode(b"caf\xe9 \xc3\xa9")
    done = losttick("show", name, cwd=runs, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 2
    assert r"caf\udce9 \xe9" in done.stderr
    (runs / name).symlink_to(runs / "clean")
    done = losttick("show", name, cwd=runs, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert r"journal: caf\udce9 \xe9/journal.jsonl" in done.stdout
