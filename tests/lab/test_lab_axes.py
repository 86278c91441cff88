"""The bug in a lab: each method, a guest that halts, loads after which QEMU itself goes on."""

from pathlib import Path

import pytest

from tests.support.lab_command import assert_frozen, lab_run

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
