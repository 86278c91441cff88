"""Linux guests in a lab: the users' own freeze, told by the guest itself."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab_command import arms, lab_run, records

pytestmark = [pytest.mark.thorough, pytest.mark.long, pytest.mark.timeout(7200)]


def losses(out: Path) -> Iterator[tuple[Path, str, dict[str, Any]]]:
    """Give the folder, the diagnosis and the evidence of each loss. Injected ones are left out."""
    for each in records(out, "trial"):
        if each["outcome"] == "lost" and "role" not in each:
            folder = out / each["evidence"]
            said = json.loads((folder / "evidence.json").read_text())["evidence"]
            yield folder, (folder / "diagnosis.txt").read_text(), said


def test_linux_freezes_where_the_fix_is_reverted(tmp_path: Path) -> None:
    out = tmp_path / "out"
    by = arms(lab_run(out, "--guest=linux", trials=20))
    for fixed in (by["untouched", True], by["revert-fix", False]):
        assert fixed["trials"] == 20
        assert fixed["outcomes"].get("lost", 0) == 0
        assert fixed["verdict"] == "clean", fixed["why"]
    frozen = by["revert-fix", True]
    assert frozen["outcomes"]["lost"] >= 19
    assert frozen["verdict"] == "affected", frozen["why"]
    for _, sentence, said in losses(out):
        assert "lost one-shot interrupt" in sentence
        assert "the kernel waits for one that was due" in sentence
        testimonies = said["vcpus"][0]["testimonies"]
        first, last = testimonies[0]["kernel"], testimonies[1]["kernel"]
        assert first["interrupts"] == last["interrupts"]
        assert first["next_event_ns"] == last["next_event_ns"] < first["now_ns"] < last["now_ns"]


def test_an_idle_linux_freezes_and_its_kernel_says_so(tmp_path: Path) -> None:
    """Nobody hears of it again: what QEMU shows tells, and the kernel when SysRq asks it."""
    out = tmp_path / "out"
    variants = ["--variant=untouched", "--variant=revert-fix"]
    by = arms(lab_run(out, "--guest=linux", "--wait=halt", *variants, trials=8))
    assert by["untouched", True]["outcomes"].get("lost", 0) == 0
    assert by["untouched", True]["verdict"] == "clean", by["untouched", True]["why"]
    frozen = by["revert-fix", True]
    assert frozen["outcomes"]["lost"] == 8
    assert frozen["verdict"] == "affected", frozen["why"]
    for folder, sentence, said in losses(out):
        assert "lost one-shot interrupt" in sentence
        assert "waits for an interrupt that was due" in sentence
        assert "Show clockevent devices" in (folder / "timer_list.txt").read_text()
        (vcpu,) = said["vcpus"]
        assert vcpu["registers"]["halted"]
        assert not vcpu["testimonies"]
        assert not vcpu["rescued"], "SysRq cures nothing"
