"""The instances of a cell, and the trials on them."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from orchestrator.bugs.exposure import read_apicv
from orchestrator.campaign.room import no_room_for_qemu
from orchestrator.findings.outcome import TrialResult
from orchestrator.findings.save import Save
from orchestrator.guest.wait import Wait
from orchestrator.host.protocol import Host
from orchestrator.journal.recorder import Recorder
from orchestrator.journal.records import TraceRecord
from orchestrator.journal.trial_record import Role
from orchestrator.plan.cell import Cell
from orchestrator.qmp.errors import MonitorError
from orchestrator.snapshot.needs import with_needs
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.trial.examine import Hang, examine
from orchestrator.trial.limits import Limits
from orchestrator.trial.load import Trial
from orchestrator.trial.pace import Paces
from orchestrator.trial.paused import PausesOfTheHost
from orchestrator.trial.resume import load_manner
from orchestrator.vm.instance import Instance
from orchestrator.vm.launch import launch
from orchestrator.vm.machine import machine_on


class Instances:
    """Starts the instances of one cell, and knows what its earlier instances showed."""

    def __init__(
        self, host: Host, cell: Cell, snapshots: Snapshots, limits: Limits, recorder: Recorder
    ) -> None:
        """Prepare.

        Args:
            host: starts the instances.
            cell: the cell.
            snapshots: implementation of the cell's snapshot method.
            limits: limits of silence for the guest's period.
            recorder: notes each instance in the journal.
        """
        self.host = host
        self._cell = cell
        self.snapshots = snapshots
        self.limits = limits
        self._recorder = recorder
        self._known_paces: dict[tuple[Role, tuple[int | None, ...], int | None], Paces] = {}
        self._loader_noted = False
        self._pauses = PausesOfTheHost()

    @contextlib.asynccontextmanager
    async def start(
        self,
        role: Role,
        *,
        control_tick: int = 0,
        control_periods: int = 6,
        subject: int = 0,
        beside: Instance | None = None,
    ) -> AsyncIterator[Instance]:
        """Start an instance, note it, and end it at the end of the block.

        Args:
            role: what its trials are for.
            control_tick: tick after which its control begins; 0 for no control.
            control_periods: length of the control's window.
            subject: vCPU that has the control.
            beside: a guest that is loaded, and stands still while this one runs. This one runs
                on the same CPUs, and by the QEMU that runs the loads.
        """
        config = self._cell.instance_config(
            self.limits.period_ns,
            control_tick=control_tick,
            control_periods=control_periods,
            subject=subject,
        )
        config, host = with_needs(config, self.snapshots), self.host
        if beside and beside.loader is not host:
            config = replace(config, machine=machine_on(host, config.machine))
            host = beside.loader
        number, console = self._recorder.next_console()
        async with launch(host, config, console, pin=beside is None) as instance:
            if beside:
                await self.pin_beside(instance, beside)
            self._recorder.instance(self._cell, role, number, instance)
            try:
                yield instance
            except MonitorError as error:
                words = no_room_for_qemu()
                if words and words not in getattr(error, "__notes__", ()):
                    error.add_note(words)
                raise

    async def pin_beside(self, instance: Instance, loaded: Instance) -> None:
        """Pin a guest to the CPUs of a guest that is loaded, and stands still meanwhile.

        A QEMU that loads as it starts is not pinned, and then this one is not either.
        """
        pinned = instance.facts.pinned_cpus, loaded.facts.pinned_cpus
        if not self.snapshots.loads_at_start and pinned[0] != pinned[1]:
            await instance.pin_like(loaded)

    def trial(self, instance: Instance, save: Save, paces: Paces) -> Trial:
        """Return a trial of a save, as the cell asks for it."""
        manner = load_manner(self._cell, self.limits.period_ns)
        return Trial(instance, self.snapshots, save, paces, self.limits, manner, self._pauses)

    def paces(self, instance: Instance, role: Role = Role.HOST) -> Paces:
        """Return the paces learnt on these CPUs from earlier instances with this role.

        A guest for shams and one that is loaded exist at the same time.
        """
        synchronised = self.host.facts.synchronises_tscs
        fresh = Paces(len(instance.vcpus), synchronised=synchronised)
        guest = instance.config.guest
        # In a guest that halts, one vCPU runs busily: the one that is about to have the control.
        busy = guest.subject if guest.wait is Wait.HALT and guest.control_tick else None
        known = (role, instance.facts.pinned_cpus, busy)
        return self._known_paces.setdefault(known, fresh)

    async def examine(
        self, instance: Instance, save: Save, result: TrialResult
    ) -> tuple[TrialResult, Hang | None]:
        """Examine an outcome that is not plain ticking."""
        if result.outcome.ticked:
            return result, None
        return await examine(instance, save, result, self.limits)

    def note_loader(self, instance: Instance) -> None:
        """Note the first QEMU that was started to load."""
        if self.snapshots.new_process and instance.generation and not self._loader_noted:
            self._loader_noted = True
            self._recorder.loader(self._cell, instance)

    async def note_trace(self, instance: Instance) -> None:
        """Note once whether the kernel's trace shows APICv in use."""
        known = self._recorder.state.cells[self._cell.id].apicv
        if known is None and instance.process.tracer:
            seen = read_apicv(await instance.process.tracer.read())
            self._recorder.write(TraceRecord(self._cell.id, seen))
