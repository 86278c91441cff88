"""The kernel's own record of a load, where root may have it."""

from pathlib import Path

import pytest

from orchestrator.guest.config import GuestConfig
from orchestrator.guest.tick.config import TICK_VECTOR
from orchestrator.host.local import open_host
from orchestrator.host.local_qemu import LocalQemu
from orchestrator.host.tracefs import MARK_CONT, MARK_LOAD
from orchestrator.snapshot.hmp import HmpSnapshots
from orchestrator.snapshot.needs import with_needs
from orchestrator.snapshot.table import snapshots
from orchestrator.trial.aim import Saver
from orchestrator.trial.limits import Limits
from orchestrator.trial.load import Trial
from orchestrator.trial.pace import Paces
from orchestrator.trial.trace import read_trace
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.launch import launch

pytestmark = pytest.mark.alone


@pytest.mark.parametrize("method", ["exec", "loadvm", "incoming"])
async def test_a_qemu_that_loads_as_it_starts_is_recorded_from_the_load_on(
    tracing: Path, kvm: Accel, method: str
) -> None:
    """Its vCPU threads are known only after the load."""
    limits, paces = Limits(20_000_000), Paces()
    async with open_host() as host:
        way = snapshots(method, host.facts.need_qemu())
        config = with_needs(InstanceConfig(kvm, GuestConfig()), way)
        async with launch(host, config) as instance:
            save, _ = await Saver(instance, way, paces, limits).take("save", 0.5)
            result = await Trial(instance, way, save, paces, limits).run()
            assert result.outcome.ticked
            assert instance.process.tracer is not None
            finding = read_trace(await instance.process.tracer.read(), TICK_VECTOR)
    assert finding.unreadable == ""
    assert finding.in_load + finding.later >= 2


async def test_a_load_is_recorded_and_the_instance_removed(tracing: Path, kvm: Accel) -> None:
    limits, paces, way = Limits(20_000_000), Paces(), HmpSnapshots()
    async with (
        open_host() as host,
        launch(host, InstanceConfig(kvm, GuestConfig())) as instance,
    ):
        process = instance.process
        assert isinstance(process, LocalQemu)
        recording = tracing / "instances" / process.folder.name
        assert recording.is_dir()
        save, _ = await Saver(instance, way, paces, limits).take("save", 0.5)
        result = await Trial(instance, way, save, paces, limits).run()
        assert result.outcome.ticked
        assert process.tracer is not None
        text = await process.tracer.read()
        assert text.index(MARK_LOAD) < text.index(MARK_CONT)
        finding = read_trace(text, TICK_VECTOR)
        print(finding.sentence(TICK_VECTOR, 2))
        # The first tick, and the one that its re-arm brought.
        assert finding.in_load + finding.later >= 2
    assert not recording.exists()
