"""QEMU binaries as candidates of a bisection, on this computer."""

import hashlib
import shutil
from pathlib import Path

import pytest

from orchestrator.bisect.candidate import Candidate
from orchestrator.bisect.qemu_tester import QemuTester
from orchestrator.bisect.tester import Same, Stage, Untestable
from orchestrator.errors import UnfitError
from tests.support.needs import Need, lacking


@pytest.fixture
def qemu() -> str:
    found = shutil.which("qemu-system-x86_64")
    if found is None:
        lacking(Need.QEMU, "qemu-system-x86_64 is not installed")
    return found


async def test_a_host_that_can_not_show_a_loss_finds_no_qemu(qemu: str, tmp_path: Path) -> None:
    tester = QemuTester(tmp_path, axes={"accel": "tcg"})
    with pytest.raises(UnfitError, match="APICv is required"):
        await tester.test(Candidate(qemu), 3)
    for path, stage in (("/none/qemu", Stage.BUILD), (shutil.which("true"), Stage.BOOT)):
        found = await tester.test(Candidate(str(path)), 3)
        assert isinstance(found, Untestable)
        assert found.stage is stage
    await tester.close()


@pytest.mark.thorough
@pytest.mark.timeout(600)
async def test_ticks_that_prove_nothing_are_not_counted(qemu: str, tmp_path: Path) -> None:
    (copy := tmp_path / "copy").symlink_to(qemu)
    tester = QemuTester(tmp_path / "out", require=(), axes={"accel": "tcg", "period_ms": 50})
    found = await tester.test(Candidate(qemu), 2)
    assert isinstance(found, Untestable)
    assert found.stage is Stage.TEST
    assert "under TCG" in found.why or "Inconclusive" in found.why
    assert len(list((tmp_path / "out").glob("*/journal.jsonl"))) == 1
    tester.tested_before(qemu, hashlib.sha256(copy.read_bytes()).hexdigest())
    assert isinstance(await tester.test(Candidate(str(copy)), 2), Same)
