"""A trial: one load of one save, and what the ticks did after it."""

from dataclasses import replace

from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult, combine
from orchestrator.findings.save import Save
from orchestrator.host.errors import QemuStartError
from orchestrator.qmp.errors import CommandFailedError, MonitorError
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.timers.first_tick import ResumeTiming
from orchestrator.trial.follow import Follower
from orchestrator.trial.limits import Limits
from orchestrator.trial.pace import Paces
from orchestrator.trial.watch import CRASH_SIGNALS, how_it_ended
from orchestrator.vm.instance import Instance

#: Marker that begins a load in the kernel's trace.
MARK_LOAD = "losttick: load"

#: Marker before `cont` in the kernel's trace.
MARK_CONT = "losttick: cont"


class Trial:
    """Loads one save and watches the ticks: stop, load, drain, continue, watch.

    A method that loads into a new QEMU ends the old QEMU instead of stopping it.
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
            instance: the instance that was saved.
            snapshots: the snapshot method.
            save: the save to load.
            paces: the pace of each vCPU.
            limits: limits of silence for the guest's period.
        """
        self._instance = instance
        self._snapshots = snapshots
        self._save = save
        self._paces = paces
        self._limits = limits
        self._stale_bytes = 0

    async def run(self) -> TrialResult:
        """Run the trial. After any outcome but plain ticking the caller must end the instance."""
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
            results = [VcpuResult(ended.outcome, why=f"{error}; {ended.why}")]
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
        load_ns = instance.clock.now_ns()
        await self._snapshots.load(instance, self._save.tag)
        loaded_ns = instance.clock.now_ns()
        instance.generation = self._save.generation + 1
        tracer = instance.process.tracer  # the load may have started a new QEMU
        # The vCPUs are stopped: everything on the console is from before the load.
        self._stale_bytes = instance.console.drain()
        instance.monitor.take_stops()
        if tracer:
            tracer.mark(MARK_CONT)
        if instance.config.lapic_is_qemus:
            await instance.mark_waiting()
        cont_ns = instance.clock.now_ns()
        await instance.cont()
        # The RESUME event arrives sooner than the answer to `cont`.
        event_ns = instance.monitor.resumed_ns
        answered_ns = event_ns if event_ns > cont_ns else instance.clock.now_ns()
        period_ns, stands = self._limits.period_ns, instance.config.lapic_is_qemus
        resumed = ResumeTiming(
            since_load=0.0 if stands else (cont_ns - loaded_ns) / period_ns,
            answering=(answered_ns - cont_ns) / period_ns,
            loading=(loaded_ns - load_ns) / period_ns,
            lapic_stood=stands,
        )

        results: list[VcpuResult] = []
        for vcpu in instance.vcpus:  # the console keeps the lines of the other vCPUs
            follower = Follower(
                instance, self._save.vcpus[vcpu], self._paces[vcpu], self._limits,
                cont_ns=cont_ns, resumed=resumed,
            )  # fmt: skip
            results.append(await follower.run())
            if results[-1].outcome in (Outcome.UNKNOWN, Outcome.CRASHED):
                break
        return results
