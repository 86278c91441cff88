"""The result of a guest that ticked after all its loads and stopped ticking later."""

import signal

import pytest

from orchestrator.campaign.silent_later import silent_later
from orchestrator.findings.outcome import Outcome
from orchestrator.process.exit import ProcessExit
from orchestrator.qmp.errors import MonitorClosedError
from orchestrator.testing import FakeHost, Script
from orchestrator.trial.aim import NoSaveError
from orchestrator.trial.watch import Mark, Silence, Unclear
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.launch import launch

CONFIG = InstanceConfig(Accel.KVM)

QUIET = Silence(500_000_000, Mark(0, 0), vcpu=1)


@pytest.mark.parametrize(
    ("quiet", "outcome", "vcpu"),
    [
        (QUIET, Outcome.LOST, 1),
        (Unclear("QEMU's monitor does not answer", vcpu=1), Outcome.UNKNOWN, 1),
        (None, Outcome.UNKNOWN, 0),
    ],
)
async def test_a_guest_of_which_no_save_could_be_taken(
    quiet: Silence | Unclear | None, outcome: Outcome, vcpu: int
) -> None:
    async with launch(FakeHost(Script()), CONFIG) as instance:
        result = await silent_later(instance, NoSaveError("it was silent", quiet))
        assert await instance.run_state() == "running", "it is left for the examination"
    assert (result.outcome, result.told.vcpu) == (outcome, vcpu)
    assert result.why == "ticks went on after its last load; later, it was silent"
    assert result.ticks_after_load == 2


@pytest.mark.parametrize(
    ("code", "outcome"), [(-signal.SIGABRT, Outcome.CRASHED), (-signal.SIGKILL, Outcome.UNKNOWN)]
)
async def test_a_qemu_that_ended(code: int, outcome: Outcome) -> None:
    host = FakeHost(Script())
    async with launch(host, CONFIG) as instance:
        host.started[0].end(ProcessExit(code, ""))
        result = await silent_later(instance, MonitorClosedError("stop", "it hung up"))
    assert (result.outcome, result.told.vcpu) == (outcome, 0)
    assert result.why.startswith("ticks went on after its last load; later, ")
    assert "it hung up" in result.why
