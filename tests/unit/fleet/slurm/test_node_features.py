"""The helper for Slurm's node features speaks Slurm's protocol, and sets one-shot boot entries."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.places import PACKAGE

HELPER = PACKAGE / "fleet" / "slurm" / "losttick-node-features"

ENTRY = "Advanced options for $(id) GNU/Linux>with Linux 6.5.0 `x` 'y'"

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def node(tmp_path: Path) -> Run:
    """Runs the helper on a node that runs 6.1.0, and also has 6.5.0."""
    for name in ("boot", "bin", "sys/module/kvm_intel/parameters"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "boot/vmlinuz-6.5.0").touch()
    (tmp_path / "kernels").write_text(
        f"# feature release entry\n\nk61 6.1.0 default\nk65   6.5.0  {ENTRY}\n"
        "gone 6.9.0 old entry\nbare 6.5.0\nk61too 6.1.0 the same"  # no newline at the end
    )
    for name, text in {
        "uname": "echo 6.1.0",
        "grub-reboot": f'[ ! -e {tmp_path}/broken ] && printf %s "$1" >{tmp_path}/next',
    }.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    env = {
        "PATH": f"{tmp_path}/bin:/usr/bin:/bin", "LOSTTICK_KERNELS": f"{tmp_path}/kernels",
        "LOSTTICK_SYS": f"{tmp_path}/sys", "LOSTTICK_BOOT": f"{tmp_path}/boot",
    }  # fmt: skip
    return lambda *args: subprocess.run(
        [HELPER, *args], env=env, capture_output=True, text=True, timeout=20, check=False
    )


def test_what_is_active_is_printed(node: Run, tmp_path: Path) -> None:
    done = node()
    assert (done.stdout, done.stderr, done.returncode) == ("k61\nk61too\n", "", 0)
    (tmp_path / "sys/module/kvm_intel/parameters/enable_apicv").write_text("Y\n")
    assert node().stdout == "k61\nk61too\napicv\n"
    assert node("apicv").returncode == 0


def test_a_kernel_is_booted_once(node: Run, tmp_path: Path) -> None:
    done = node("k65")
    assert (done.stdout, done.returncode) == ("", 0), done.stderr
    assert (tmp_path / "next").read_text() == ENTRY


@pytest.mark.parametrize(
    ("feature", "words"),
    [
        ("gone", "6.9.0 is not installed"),
        ("bare", "no boot entry"),
        ("k6", "does not name it"),
        ("*", "does not name it"),
        ("apicv", "does not use APICv here"),
    ],
)
def test_what_cannot_be_set_is_said(node: Run, tmp_path: Path, feature: str, words: str) -> None:
    done = node(feature)
    assert done.returncode == 1
    assert words in done.stderr
    assert not (tmp_path / "next").exists()


def test_failures_are_not_hidden(node: Run, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    assert node("k65").returncode == 1
    (tmp_path / "kernels").unlink()
    done = node()
    assert (done.stdout, done.returncode) == ("", 1)
    assert "there is no such file" in done.stderr
    assert node("--all").returncode == 2
    assert node("a", "b").returncode == 2


def test_the_help_tells_all(node: Run) -> None:
    done = node("--help")
    assert done.returncode == 0
    assert done.stdout.startswith("losttick-node-features: tells Slurm")
    assert "set -u" not in done.stdout
    assert os.access(HELPER, os.X_OK)
