"""`losttick compare --run` with real QEMUs, one of which loses ticks."""

import json
import os
import shutil
from pathlib import Path

import pytest

from orchestrator.journal.file import JOURNAL
from orchestrator.vm.config import Accel
from tests.support.arms_in_turns import blocks, loads
from tests.support.command_here import losttick
from tests.support.shim import shim_environment

pytestmark = [pytest.mark.alone, pytest.mark.timeout(600)]

PLAN = """
seed = 3
controls = 1
[axes]
accel = "kvm"
period_ms = 10
loads_per_save = 5
[limits]
trials = 16
rule_out = 0.2
"""


@pytest.fixture
def losing_qemu(tmp_path: Path, shim: Path) -> Path:
    """A QEMU by another name, whose KVM forgets every other timer at a load."""
    wanted = shim_environment(shim, tmp_path / "shim.log", "forget", seed=3, permille=500)
    said = " ".join(f"{name}={value}" for name, value in wanted.items())
    script = tmp_path / "qemu-that-loses"
    qemu = shutil.which("qemu-system-x86_64")
    script.write_text(f'#!/bin/sh\n[ "$1" = -chardev ] && export {said}\nexec {qemu} "$@"\n')
    script.chmod(0o755)
    return script


def cut(journal: Path, trials: int) -> None:
    """Leave a journal as a kill would after so many loads of snapshots."""
    kept, seen = [], 0
    for line in journal.read_bytes().splitlines(keepends=True):
        kept.append(line)
        record = json.loads(line)
        seen += record["record"] == "trial" and record.get("role", "host") == "host"
        if seen == trials:
            break
    journal.write_bytes(b"".join([*kept, b'{"record":"tri']))


def test_two_qemus_take_turns_and_go_on_after_a_kill(
    tmp_path: Path, kvm: Accel, losing_qemu: Path, unpaused: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOSTTICK_QEMU_USER", "root" if os.geteuid() == 0 else "")
    (tmp_path / "plan.toml").write_text(PLAN)
    place = tmp_path / "out"
    done = losttick(
        "compare", "--run", "--qemu", "qemu-system-x86_64", "--qemu", losing_qemu,
        "--plan", tmp_path / "plan.toml", "--out", place, columns=200,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "B against A: 1 worse, of 1 cell" in done.stdout
    assert "Of the facts that losttick knows, only the QEMU differs" in done.stdout
    assert losttick("compare", place / "A", place / "B", columns=200).stdout == done.stdout
    order = loads(place)
    assert min(order.count("A"), order.count("B")) >= 16  # a busy host gets more, beside shams
    assert len(blocks(place)) >= 4, blocks(place)
    cut(place / "A" / JOURNAL, 12)
    cut(place / "B" / JOURNAL, 10)
    done = losttick("compare", "--run", "--resume", place, columns=200)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "B against A: 1 worse, of 1 cell" in done.stdout
    order = loads(place)
    assert min(order.count("A"), order.count("B")) >= 16  # a busy host gets more, beside shams
    again = losttick("compare", "--run", "--resume", place, columns=200)
    assert (again.returncode, again.stdout) == (1, done.stdout), "nothing was left to do"
    assert loads(place) == order
