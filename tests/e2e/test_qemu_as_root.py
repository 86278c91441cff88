"""Whatever starts a QEMU as root, because nobody else could run it, says so."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.host.qemu_binary import DEFAULT_QEMU
from tests.support.needs import Need, lacking, not_applicable
from tests.support.plugin_projects import project

NOTE = "QEMU runs as root, as only root may"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A QEMU in a folder that only root may enter, the first on PATH."""
    if os.geteuid() != 0:
        not_applicable("only root runs QEMU as another user")
    found = shutil.which(DEFAULT_QEMU)
    if found is None:
        lacking(Need.QEMU, f"{DEFAULT_QEMU} is not installed")
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o700)
    (folder / DEFAULT_QEMU).symlink_to(found)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder / DEFAULT_QEMU


ARMS = ("--qemu", "{usual}", "--qemu", "{closed}", "--trials", "1", "--mode", "one-shot")


@pytest.mark.parametrize(
    "args",
    [
        pytest.param(("plan", "show", "android"), marks=pytest.mark.thorough),
        ("bisect", "--qemus", "{usual},{closed}"),
        pytest.param(("run", *ARMS), marks=pytest.mark.thorough),
        pytest.param(("compare", "--run", *ARMS), marks=pytest.mark.thorough),
    ],
)
def test_a_command_says_so(closed: Path, losttick: Run, args: tuple[str, ...]) -> None:
    done = losttick(*(arg.format(closed=closed, usual=closed.resolve()) for arg in args))
    assert done.stderr.count(NOTE) == 1, done.stderr


TEST = """
def test_machine(losttick_host):
    assert losttick_host.user.name == "root"


def test_again(losttick_host):
    pass
"""


@pytest.mark.usefixtures("closed")
def test_the_pytest_plugin_says_so(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once for all tests, and without a failure, although the project makes warnings errors."""
    project(pytester, monkeypatch, test_machines=TEST)
    done = pytester.runpytest_subprocess(timeout=60)
    done.assert_outcomes(passed=2, warnings=1)
    assert done.stdout.str().count(f"losttick: {NOTE}") == 1
