"""A saved state that can't be read ends a cell, and neither the run nor a host's reputation."""

import errno
import os
from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.host.protocol import DUMP_FILE
from orchestrator.plan.load import build_plan
from orchestrator.testing import FakeHost, FakeQemu, Script, immediate
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel


def fail_to_read(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    """Let every file but a dump of the guest's memory fail to be read."""
    usual = FakeQemu.read_file

    async def read_file(qemu: FakeQemu, name: str) -> bytes:
        if name != DUMP_FILE:
            raise error
        return await usual(qemu, name)

    monkeypatch.setattr(FakeQemu, "read_file", read_file)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EINVAL, "not a regular file"), "not a regular file"),
        (OSError(errno.EIO, os.strerror(errno.EIO)), "Input/output error"),
        (OSError(errno.EFBIG, "larger than half of this computer's memory"), "larger than half"),
    ],
    ids=["fifo", "broken-disk", "endless"],
)
@pytest.mark.parametrize("method", ["exec", "loadvm"])
async def test_it_ends_its_cell_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, error: OSError, words: str
) -> None:
    fail_to_read(monkeypatch, error)
    plan = build_plan(
        {
            "seed": 1, "axes": {"period_ms": 100, "method": [method, "hmp"]}, "controls": 1,
            "limits": {"trials": 3, "rule_out": 0.7},
        },
        "test",
    )  # fmt: skip
    result = await run_plan(FakeHost(Script(immediate)), plan, Accel.KVM, tmp_path)
    by_method = {str(cell.cell.method): cell for cell in result.cells}
    assert by_method["hmp"].verdict is Verdict.CLEAN
    assert by_method[method].verdict is Verdict.INCONCLUSIVE
    assert words in by_method[method].why
    assert result.verdict is Verdict.INCONCLUSIVE


async def test_a_disk_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fail_to_read(monkeypatch, FileNotFoundError(errno.ENOENT, "no such file"))
    plan = build_plan({"axes": {"period_ms": 100, "method": "loadvm"}, "controls": 1}, "test")
    (cell,) = (await run_plan(FakeHost(Script(immediate)), plan, Accel.KVM, tmp_path)).cells
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert "is gone" in cell.why
