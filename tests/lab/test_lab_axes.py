"""The bug in a lab: each method, a guest that halts, loads after which QEMU itself goes on, and
a tick that is pending in the save.
"""

from pathlib import Path

import pytest

from orchestrator.findings.witness import TraceReading
from tests.support.lab_command import assert_frozen, lab_run, traces

#: Methods of the lab's QEMU, version 7.2.
METHODS = ("hmp", "jobs", "jobs-hmp", "jobs-loadvm", "loadvm", "exec", "incoming")

LOADS = 5


@pytest.mark.thorough
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("options", [("--wait=halt",), ("--resume-by=auto",), ()], ids=str)
def test_the_reverted_kernel_freezes_guests_by_each_method(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    methods = [f"--method={method}" for method in METHODS]
    out = tmp_path / "out"
    found = lab_run(out, "--variant=revert-fix", *methods, *options, trials=LOADS)
    assert len(found["cells"]) == len(METHODS)
    for cell in found["cells"]:
        assert_frozen(cell, trials=LOADS)
        assert set(traces(out, cell)) == {TraceReading.VANISHED}


@pytest.mark.thorough
@pytest.mark.timeout(1200)
def test_the_reverted_kernel_keeps_a_tick_that_is_pending_in_the_save(tmp_path: Path) -> None:
    """Its guest is entered with interrupts off. Bochs 3.0 as released lets nobody stop it."""
    states = ["--state=pending", "--state=armed"]
    variants = ["--variant=untouched", "--variant=revert-fix"]
    found = lab_run(tmp_path / "out", *variants, *states, trials=3)
    by = {(cell["lab"]["variant"], "state=pending" in cell["id"]): cell for cell in found["cells"]}
    assert len(by) == 4
    assert_frozen(by.pop(("revert-fix", False)), trials=3)
    for cell in by.values():
        assert cell["trials"] == 3
        assert cell["verdict"] == "clean", cell["why"]
        assert "lost" not in cell["outcomes"]
        assert all(control["seen"] for control in cell["controls"])


@pytest.mark.thorough
@pytest.mark.timeout(1800)
def test_long_pauses_neither_hide_the_bug_nor_accuse_a_kernel(tmp_path: Path) -> None:
    pauses = ["--pause-before-load=20 periods", "--pause-before-cont=20 periods"]
    variants = ["--variant=untouched", "--variant=revert-fix"]
    found = lab_run(tmp_path / "out", *variants, *pauses, trials=LOADS)
    by = {cell["lab"]["variant"]: cell for cell in found["cells"]}
    for cell in found["cells"]:
        assert "pause_before_cont=20periods/pause_before_load=20periods" in cell["id"]
    assert_frozen(by["revert-fix"], trials=LOADS)
    assert by["untouched"]["verdict"] == "clean", by["untouched"]["why"]
    assert by["untouched"]["trials"] == LOADS
