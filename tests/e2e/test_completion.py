"""Completion in bash: the Tab key, after what docs/commands.md says."""

import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from tests.support.docs import blocks
from tests.support.places import DOCS, ROOT


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A home of its own, and a PATH with the command `losttick`."""
    command = tmp_path / "bin" / "losttick"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m orchestrator "$@"\n')
    command.chmod(0o755)
    return os.environ | {
        "HOME": str(tmp_path),
        "PATH": f"{command.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "TERM": "dumb",
    }


def completed(environment: dict[str, str], file: Path, typed: str, expected: str) -> None:
    """Type something and the Tab key into a bash that has read a file; expect what it adds."""
    shell = pexpect.spawn(
        "bash", ["--noprofile", "--norc", "-i"], env=environment, encoding="utf-8", timeout=60,
        dimensions=(24, 200),
    )  # fmt: skip
    try:
        shell.sendline(f"PS1=; source {file}; echo rea''dy")
        shell.expect("ready\r\n")
        shell.send(f"{typed}\t")
        shell.expect_exact(expected)
    finally:
        shell.close(force=True)


def test_the_documented_file_completes(environment: dict[str, str], tmp_path: Path) -> None:
    (block,) = (b for b in blocks("sh") if b.page == DOCS / "commands.md" and "show-c" in b.text)
    folder = tmp_path / ".local/share/bash-completion/completions"
    subprocess.run(["bash", "-ec", block.text], env=environment, check=True)
    completed(environment, folder / "losttick", "losttick lab cle", "losttick lab clean ")
    completed(environment, folder / "losttick", "losttick run --loads", "--loads-per-save ")


@pytest.mark.thorough
def test_it_can_be_installed(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "-ec", "losttick --install-completion; true"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    completed(environment, tmp_path / ".bashrc", "losttick hist", "losttick history ")
