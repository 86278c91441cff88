"""One load of one save, and what the ticks did after it."""

from dataclasses import replace

from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult, combine
from orchestrator.findings.save import Save
from orchestrator.host.protocol import QemuStartError
from orchestrator.qmp.errors import CommandFailedError, MonitorError
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.timers.first_tick import ResumeTiming
from orchestrator.trial.follow import OUTCOMES, Follower
from orchestrator.trial.limits import Limits
from orchestrator.trial.pace import Paces
from orchestrator.trial.watch import CRASH_SIGNALS, how_it_ended
from orchestrator.vm.instance import Instance

#: Markers in the kernel's trace.
MARK_LOAD = "losttick: load"


MARK_CONT = "losttick: cont"


class Trial:
    """Loads one save and watches the ticks: stop, load, drain, continue, watch.

    Where a load takes a new QEMU, the instance's old one ends instead of being stopped.
    """

    def __init__(
        self,
        instance: Instance,
        snapshots: Snapshots,
        save: Save,
        paces: Paces,
        limits: Limits,
    ) -> None:
        """Prepare.

        Args:
            instance: that the save is of.
            snapshots: the method.
            save: what to load.
            paces: one for each vCPU.
            limits: of the guest's period.
        """
        self._instance = instance
        self._snapshots = snapshots
        self._save = save
        self._paces = paces
        self._limits = limits
        self._stale_bytes = 0

    async def run(self) -> TrialResult:
        """Run the trial. After any outcome that is not plain ticking, end this instance."""
        clock = self._instance.clock
        began_ns = clock.now_ns()
        try:
            results = await self._run()
        except CommandFailedError as error:
            results = [VcpuResult(Outcome.UNKNOWN, why=str(error))]
        except QemuStartError as error:
            crashed = error.end is not None and -error.end.code in CRASH_SIGNALS
            outcome = Outcome.CRASHED if crashed else Outcome.UNKNOWN
            results = [VcpuResult(outcome, why=str(error))]
        except MonitorError as error:
            ended = await how_it_ended(self._instance)
            results = [VcpuResult(OUTCOMES[ended.quiet], why=f"{error}; {ended.why}")]
        return replace(
            combine(results),
            stale_bytes=self._stale_bytes,
            duration_ns=clock.now_ns() - began_ns,
        )

    async def _run(self) -> list[VcpuResult]:
        instance = self._instance
        if instance.running and not self._snapshots.new_process:
            await instance.stop()
        if instance.process.tracer:
            instance.process.tracer.mark(MARK_LOAD)
        await self._snapshots.load(instance, self._save.tag)
        loaded_ns = instance.clock.now_ns()
        instance.generation = self._save.generation + 1
        tracer = instance.process.tracer  # perhaps that of a new QEMU
        # The instance stands still: all that the console holds is from before the load.
        self._stale_bytes = instance.console.drain()
        instance.monitor.take_stops()
        if tracer:
            tracer.mark(MARK_CONT)
        if instance.config.lapic_is_qemus:
            await instance.mark_waiting()
        cont_ns = instance.clock.now_ns()
        await instance.cont()
        # QEMU tells it by an event, too, which is quicker than its answer.
        told_ns = instance.monitor.resumed_ns
        answered_ns = told_ns if told_ns > cont_ns else instance.clock.now_ns()
        period_ns, stands = self._limits.period_ns, instance.config.lapic_is_qemus
        resumed = ResumeTiming(
            since_load=0.0 if stands else (cont_ns - loaded_ns) / period_ns,
            answering=(answered_ns - cont_ns) / period_ns,
            lapic_stood=stands,
        )

        results: list[VcpuResult] = []
        for vcpu in instance.vcpus:  # the lines of the others wait meanwhile
            follower = Follower(
                instance, self._save.vcpus[vcpu], self._paces[vcpu], self._limits,
                cont_ns=cont_ns, resumed=resumed,
            )  # fmt: skip
            results.append(await follower.run())
            if results[-1].outcome in (Outcome.UNKNOWN, Outcome.CRASHED):
                break
        return results
