"""A QEMU that aborts because its host refuses it something has not crashed."""

from pathlib import Path

import pytest

from orchestrator.findings.outcome import Outcome
from orchestrator.process.exit import ProcessExit
from orchestrator.testing import FakeQemu, Script
from orchestrator.verdict.verdict import Verdict
from tests.support.fake_campaigns import campaign


@pytest.mark.parametrize(
    ("words", "crashed"),
    [
        ("qemu: qemu_thread_create: Resource temporarily unavailable", False),
        ("qemu-system-x86_64: cannot allocate: Cannot allocate memory", False),
        ("KVM_SET_LAPIC failed: Invalid argument", True),
    ],
)
async def test_an_abort_in_a_load(tmp_path: Path, words: str, crashed: bool) -> None:
    loads = 0

    def abort(qemu: FakeQemu) -> None:
        nonlocal loads
        loads += not qemu.config.control_tick
        if loads == 3 and not qemu.config.control_tick:
            qemu.end(ProcessExit(-6, words))

    result, _ = await campaign(tmp_path, Script(on_command={"loadvm": abort}), trials=100)
    (cell,) = result.cells
    assert loads > 3
    assert cell.counts.outcomes[Outcome.CRASHED] == crashed
    assert (cell.verdict is Verdict.ANOMALOUS) is crashed, cell.why
