"""A guest that does something wrong at the first tick after a load."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from orchestrator.findings.cause import Diagnosis
from orchestrator.findings.outcome import TrialResult
from orchestrator.findings.save import Save
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.tick.config import Fault, Switches
from orchestrator.guest.tick.guest import TickFirmware
from orchestrator.host.local import LocalHost
from orchestrator.snapshot.hmp import HmpSnapshots
from orchestrator.trial.aim import Saver
from orchestrator.trial.diagnosis import diagnose
from orchestrator.trial.follow import LEAST_TICKS
from orchestrator.trial.gather import gather
from orchestrator.trial.limits import Limits
from orchestrator.trial.load import Trial
from orchestrator.trial.pace import Paces
from orchestrator.trial.watch import Heard, Watch
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.instance import Instance
from orchestrator.vm.launch import launch

FAULT_TICK = 12


@contextlib.asynccontextmanager
async def loaded(
    host: LocalHost,
    accel: Accel,
    guest: GuestConfig,
    fault: Fault,
    *,
    ticks: int = FAULT_TICK - 1,
    follow: int = LEAST_TICKS,
    latest: float = 1.0,
) -> AsyncIterator[tuple[Instance, Save, TrialResult]]:
    """Save a guest whose subject has ticked `ticks` times; give what a load of it came to.

    By default the fault comes at the first tick after the load. `latest` is the latest phase
    of the save, which the save may miss on a busy host.
    """
    program = TickFirmware(Switches(fault, FAULT_TICK))
    limits, snapshots, subject = Limits(guest.period_ns), HmpSnapshots(), guest.subject
    for _ in range(10):
        async with launch(host, InstanceConfig(accel, guest, program)) as instance:
            paces = Paces(len(instance.vcpus))
            saver = Saver(instance, snapshots, paces, limits)
            await saver.learn_pace()
            watch = Watch(instance, limits, subject)
            sequence = 0
            while sequence < ticks:
                heard = await watch.tick(limits.silence_ns, confirm=True)
                assert isinstance(heard, Heard)
                sequence = heard.line.sequence
            await instance.stop()
            save = await saver.look_at_all("faulty", 0.0)
            # Nearly a period is left. The other vCPUs must be in a state whose loads are evidence.
            while any(
                part.printing or (part.ineligible and part.vcpu != subject) for part in save.vcpus
            ):
                await instance.cont()
                await instance.stop()
                save = await saver.look_at_all("faulty", 0.0)
            part = save.vcpus[subject]
            if part.ticks != ticks or part.phase > latest:
                continue
            await snapshots.save(instance, save.tag)
            trial = Trial(instance, snapshots, save, paces, limits)
            trial.ticks = follow
            yield instance, save, await trial.run()
            return
    pytest.fail("no save fell just before the fault in 10 tries")


async def fallen_silent(
    host: LocalHost, accel: Accel, guest: GuestConfig, fault: Fault
) -> tuple[TrialResult, Diagnosis]:
    """Load a save from just before the guest's fault; return what its vCPU came to, and why."""
    async with loaded(host, accel, guest, fault) as (instance, save, result):
        evidence = await gather(instance, Limits(guest.period_ns), [guest.subject])
        of_subject = result.of(guest.subject)
        assert of_subject is not None
        found = diagnose(of_subject, evidence, save, instance.config)
        print(found.sentence)
        return result, found
