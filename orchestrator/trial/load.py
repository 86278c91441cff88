"""A trial: one load of one save, and what the ticks did after it."""

from dataclasses import replace

from orchestrator.clock import ClockMark
from orchestrator.findings.outcome import Outcome, TrialResult, VcpuResult, combine
from orchestrator.findings.save import Save
from orchestrator.host.errors import QemuStartError
from orchestrator.qmp.errors import CommandFailedError, MonitorError
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.trial.follow import LEAST_TICKS, Follower, follow_all
from orchestrator.trial.limits import Limits
from orchestrator.trial.numbering import load_again, misnumbered
from orchestrator.trial.pace import Paces
from orchestrator.trial.paused import PausesOfTheHost
from orchestrator.trial.resume import (
    PLAIN_LOAD,
    EarlySilenceError,
    LoadManner,
    load_and_resume,
)
from orchestrator.trial.slewed import unless_slewed
from orchestrator.trial.suspended import unless_suspended
from orchestrator.trial.watch import crashed, how_it_ended
from orchestrator.vm.instance import Instance


class Trial:
    """Loads one save and watches the ticks."""

    def __init__(
        self,
        instance: Instance,
        snapshots: Snapshots,
        save: Save,
        paces: Paces,
        limits: Limits,
        manner: LoadManner = PLAIN_LOAD,
        pauses: PausesOfTheHost | None = None,
    ) -> None:
        """Prepare.

        Args:
            instance: the instance that was saved.
            snapshots: the snapshot method.
            save: the save to load.
            paces: the pace of each vCPU.
            limits: limits of silence for the guest's period.
            manner: what to do around the load.
            pauses: what earlier loads of the cell showed that a pause of the host may explain.
        """
        self._instance = instance
        self._snapshots = snapshots
        self._save = save
        self._paces = paces
        self._limits = limits
        self._manner = manner
        self._pauses = pauses or PausesOfTheHost()
        self.ticks = LEAST_TICKS
        """How many ticks of each vCPU to follow."""
        self._stale_bytes = 0
        self._resumed_ns = 0
        self.loading_ns = 0
        """How long the load took without its pauses, by the host's clock."""

    async def run(self) -> TrialResult:
        """Run the trial. After any outcome but plain ticking the caller must end the instance."""
        clock = self._instance.clock
        began_ns, mark = clock.now_ns(), ClockMark.read(clock)
        try:
            results = await self._run()
        except CommandFailedError as error:
            results = [VcpuResult(Outcome.UNKNOWN, why=str(error))]
        except EarlySilenceError as error:
            quiet = error.quiet
            results = [
                VcpuResult(quiet.outcome, why=str(error), ticks_after_load=2, vcpu=quiet.vcpu)
            ]
        except QemuStartError as error:
            by_itself = error.end is not None and crashed(error.end)
            outcome = Outcome.CRASHED if by_itself else Outcome.UNKNOWN
            self._instance.crash = error.end if by_itself else None
            results = [VcpuResult(outcome, why=str(error))]
        except MonitorError as error:
            ended = await how_it_ended(self._instance)
            results = [VcpuResult(ended.outcome, why=f"{error}; {ended.why}")]
        result = replace(
            combine(results),
            stale_bytes=self._stale_bytes,
            duration_ns=clock.now_ns() - began_ns,
            began_ns=began_ns,
            resumed_ns=self._resumed_ns,
        )
        result = unless_slewed(unless_suspended(self._instance, result), mark.slewed(clock))
        return self._pauses.unless_paused(self._instance, result)

    async def _run(self) -> list[VcpuResult]:
        instance = self._instance
        resumed = await load_and_resume(
            instance, self._snapshots, self._save, self._limits, self._manner
        )
        self._stale_bytes, self._resumed_ns = resumed.stale_bytes, resumed.since_ns
        self.loading_ns = int(resumed.timing.loading * self._limits.period_ns)
        results = await follow_all(
            Follower(
                instance, self._save.vcpus[vcpu], self._paces[vcpu], self._limits,
                resumed=resumed, ticks=self.ticks,
            )
            for vcpu in instance.vcpus
        )  # fmt: skip
        if not any(misnumbered(each, self._save.vcpus[each.vcpu]) for each in results):
            return results
        why = await load_again(instance, self._snapshots, self._save)
        return [self._not_loaded(each, why) for each in results] if why else results

    def _not_loaded(self, result: VcpuResult, why: str) -> VcpuResult:
        if not misnumbered(result, self._save.vcpus[result.vcpu]):
            return result
        return replace(result, outcome=Outcome.NOT_LOADED, why=f"{result.why}; {why}")
