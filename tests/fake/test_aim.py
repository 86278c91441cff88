"""Where in the period an instance is stopped, and from which tick the time is counted."""

import pytest

from orchestrator.findings.arrival import Arrival
from orchestrator.guest.config import GuestConfig
from orchestrator.host.facts import QemuFacts
from orchestrator.snapshot.method import Method
from orchestrator.snapshot.table import snapshots
from orchestrator.testing import FACTS, FakeHost, Script
from orchestrator.trial.aim import Saver
from orchestrator.trial.limits import Limits
from orchestrator.trial.pace import Paces
from orchestrator.trial.watch import Heard, Watch
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.launch import launch

PERIOD_NS = 100_000_000

CONFIG = InstanceConfig(Accel.KVM, GuestConfig(period_ns=PERIOD_NS))


@pytest.mark.parametrize(("waited", "later"), [(0.2, 0), (0.6, 1)])
async def test_a_stop_counts_from_the_tick_that_was_followed_last_while_there_is_time(
    waited: float, later: int
) -> None:
    assert isinstance(FACTS.qemu, QemuFacts)
    async with launch(FakeHost(Script()), CONFIG) as instance:
        paces, limits = Paces(1), Limits(PERIOD_NS, 1)
        saver = Saver(instance, snapshots(Method.HMP, FACTS.qemu), paces, limits)
        await saver.learn_pace()
        heard = await Watch(instance, limits, 0).tick(limits.silence_ns)
        assert isinstance(heard, Heard)
        paces[0].last = Arrival(heard.line, heard.at_ns)
        await instance.clock.sleep(int(waited * PERIOD_NS))
        began = await saver.stop_at(0.5)
        save = await saver.look_at_all("save", 0.5)
        assert began.sequence == save.first.ticks == heard.line.sequence + later
        assert save.first.phase == pytest.approx(0.5, abs=0.1)
        assert (paces[0].last, saver.gap) == (None, None)
        # The stop tore this period: the next stop is in the one after the next tick.
        began = await saver.stop_at(0.5)
        assert saver.gap is not None
        assert [tick.sequence for tick in saver.gap] == [began.sequence - 1, began.sequence]
        assert began.sequence == save.first.ticks + 2
