"""Results whose words can't be written, or that nobody reads."""

import json
import os
import pty
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import pytest

from orchestrator.testing import Script, immediate, lost
from tests.support.command import losttick_command
from tests.support.cut_short_runs import go_on
from tests.support.virtual_time import in_virtual_time


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a clean and an affected run."""
    place = tmp_path_factory.mktemp("runs")
    for name, kind in (("clean", immediate), ("affected", lost)):
        (place / name).mkdir()
        in_virtual_time(partial(go_on, place / name, Script(kind)))
    return place


@pytest.fixture
def full() -> Iterator[TextIO]:
    with Path("/dev/full").open("w") as file:
        yield file


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


@pytest.mark.parametrize("place", ["full", "unread"])
@pytest.mark.parametrize(
    ("args", "code"),
    [(("rnu",), 2), (("show", "--bogus"), 2), (("show", "/none"), 2), (("show", "clean"), 0)],
    ids=["mistyped", "usage", "input", "clean"],
)
def test_the_exit_code_survives_a_dead_stderr(
    request: pytest.FixtureRequest, runs: Path, place: str, args: tuple[str, ...], code: int
) -> None:
    done = losttick(*args, "--json", cwd=runs, stderr=request.getfixturevalue(place))
    assert done.returncode == code
    if args != ("rnu",):
        assert json.loads(done.stdout)["verdict"] == ("clean" if code == 0 else None)


@pytest.mark.parametrize(
    ("place", "run", "code"),
    [("unread", "affected", 141), ("full", "clean", 4), ("full", "affected", 1)],
)
def test_a_dead_stdout_is_no_finding(
    request: pytest.FixtureRequest, runs: Path, place: str, run: str, code: int
) -> None:
    done = losttick("show", run, cwd=runs, stdout=request.getfixturevalue(place))
    assert done.returncode == code
    said = "losttick: writing to standard output: No space left on device\n"
    assert done.stderr == (said if place == "full" else "")


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
