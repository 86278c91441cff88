"""No error ends with exit code 1, which means `affected`; least of all one nobody expects."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.prepared_process import PreparedProcess


@pytest.fixture(scope="module")
def prepared() -> Iterator[PreparedProcess]:
    with PreparedProcess() as parent:
        yield parent


def raising(error: str) -> str:
    """Return a program text that makes the dispatch raise an error."""
    return (
        f"import orchestrator.cli.root\ndef fail(*_):\n    raise {error}\ncli.root._dispatch = fail"
    )


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        ("ValueError('what')", 4), ("MemoryError", 4), ("RecursionError", 4),
        ("OSError(28, 'x')", 4),
        ("ModuleNotFoundError('typer')", 4), ("BrokenPipeError", 141), ("KeyboardInterrupt", 130),
        ("SystemExit(1)", 4), ("SystemExit('words')", 4), ("SystemExit(2)", 2),
        ("SystemExit", 0), ("__import__('typer').Abort", 4),
        ("SystemExit(__import__('orchestrator.cli.exits').cli.exits.ExitCode.AFFECTED)", 1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("stderr", ["/dev/null", "/dev/full"])
def test_only_a_verdict_ends_with_1(
    prepared: PreparedProcess, error: str, wanted: int, stderr: str
) -> None:
    assert prepared.code("run", breaking=raising(error), stderr=stderr) == wanted


@pytest.mark.parametrize(
    "args",
    [
        ("run", "--no-such-option"), ("run", "--trials", "many"), ("rnu",),
        ("run", "--trials", "\udcff"),
        ("run", "--plan", "/absent.toml"), ("show",), ("show", "/absent"),
        ("plan", "show", "/absent"),
        ("lab", "run", "--trials", "0"), ("probe", "--trials", "0"), ("doctor", "--qemu"),
        ("doctor", "--qemu", "no-such-qemu"), ("run", "--qemu", "no-such-qemu"),
    ],
)  # fmt: skip
def test_bad_usage_is_bad_usage_even_if_nobody_can_read_so(
    prepared: PreparedProcess, args: tuple[str, ...]
) -> None:
    assert prepared.code(*args, stderr="/dev/full") == 2
    assert prepared.code(*args, stdout="/dev/full", stderr="/dev/full") == 2


def test_bad_usage_whose_reader_went_away() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator", "run", "--no-such-option"], stderr=write, check=False
    )
    os.close(write)
    assert done.returncode == 2


@pytest.mark.parametrize("args", [("--help",), ("--version",), ("plan", "schema")])
def test_words_that_cannot_be_written(prepared: PreparedProcess, args: tuple[str, ...]) -> None:
    assert prepared.code(*args, stdout="/dev/full") == 4
    assert prepared.code(*args, stdout="/dev/full", stderr="/dev/full") == 4


def test_a_fault_of_losttick_says_where_to_look(prepared: PreparedProcess, tmp_path: Path) -> None:
    breaking, err = raising("ValueError('\\x1b[2J')"), tmp_path / "err"
    for traceback in (False, True):
        env = {"LOSTTICK_TRACEBACK": "1"} if traceback else {}
        assert prepared.code("run", breaking=breaking, stderr=err, env=env) == 4
        said = err.read_text()
        assert ("Traceback" in said) is traceback
        if not traceback:
            assert said.startswith("losttick: a fault in losttick itself: ValueError: \\x1b[2J. ")
            assert len(said.splitlines()) == 1
