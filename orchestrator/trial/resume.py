"""Loads a save and lets the guest run on: by `cont`, or by itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.errors import InfraError
from orchestrator.findings.arrival import Arrival
from orchestrator.findings.save import Save
from orchestrator.host.tracefs import MARK_CONT, MARK_LOAD
from orchestrator.plan.cell import Cell
from orchestrator.snapshot.method import Resume
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.timers.first_tick import ResumeTiming
from orchestrator.trial.control_load import run_past_window
from orchestrator.trial.limits import Limits
from orchestrator.trial.qemu_waits import counts_waits
from orchestrator.trial.watch import MOST_OLD_TICKS, Heard, Quiet, Unclear, Watch
from orchestrator.vm.instance import Instance


@dataclass(frozen=True, slots=True)
class LoadManner:
    """The steps around a load, as the cell asks for them."""

    resume: Resume = Resume.CONT
    pause_before_load_ns: int = 0
    """Wait before the load. With `Resume.CONT` the guest is stopped meanwhile."""
    pause_before_cont_ns: int = 0
    """Wait between the load and `cont`."""


PLAIN_LOAD = LoadManner()


def load_manner(cell: Cell, period_ns: int) -> LoadManner:
    """Return what a cell asks for around each load, with the period that its timer has."""
    return LoadManner(
        cell.resume,
        cell.pause_before_load.ns(period_ns),
        cell.pause_before_cont.ns(period_ns),
    )


class NotResumedError(InfraError):
    """QEMU left a guest stopped that should have run on by itself after a load."""

    def __init__(self, version: str, state: str) -> None:
        super().__init__(
            f"loading with resume=auto: QEMU {version} left the guest {state!r} after the load, "
            "although the guest should run on by itself (QEMU 6.0 does so after `loadvm`). "
            "Use --resume-by cont, or another QEMU with --qemu."
        )


class EarlySilenceError(InfraError):
    """The guest did not tick on between its save and a load into the running guest."""

    def __init__(self, quiet: Quiet) -> None:
        self.quiet = quiet
        super().__init__(f"letting the saved guest run on before a load: {quiet.why}")


@dataclass(frozen=True, slots=True)
class Resumed:
    """A guest that runs on after a load."""

    since_ns: int
    """Earliest moment at which the guest can have run on, by the host's clock."""
    timing: ResumeTiming
    stale_bytes: int
    """Console bytes from before the load that were discarded unread."""
    load_ns: int
    """When the load began, by the host's clock."""
    stopped_ns: float = 0.0
    """How long the instance had been stopped when it was saved."""
    heard_before: Mapping[int, Arrival] = field(default_factory=dict)
    """The last tick of each vCPU whose line was heard before the load, if QEMU is the same."""
    lines_may_be_stale: bool = False
    """True if lines from before the load can still arrive: each vCPU's ticks up to the one
    after the save were heard before the load, so every line of a stale tick has a higher
    sequence number than the first tick after the load."""


async def load_and_resume(
    instance: Instance, snapshots: Snapshots, save: Save, limits: Limits, manner: LoadManner
) -> Resumed:
    """Load a save, and return once the guest runs on.

    Raises:
        MonitorError: QEMU did not load, or did not answer.
        QemuStartError: the new QEMU did not start.
        NotResumedError: QEMU left the guest stopped, though it should have run on by itself.
        EarlySilenceError: the guest fell silent before the load, or its control took too long.
    """
    if manner.resume is Resume.AUTO:
        return await _load_running(instance, snapshots, save, limits, manner)
    return await _load_stopped(instance, snapshots, save, limits, manner)


async def _load_stopped(
    instance: Instance, snapshots: Snapshots, save: Save, limits: Limits, manner: LoadManner
) -> Resumed:
    """Stop the guest, load, discard what the console holds, and continue the guest.

    A method that loads into a new QEMU ends the old QEMU instead of stopping it.
    """
    clock = instance.clock
    if save.control and not snapshots.new_process:
        await _end_control(instance, limits)
    if instance.running and (manner.pause_before_load_ns or not snapshots.new_process):
        await instance.stop()
    await clock.sleep(manner.pause_before_load_ns)
    mark(instance, MARK_LOAD)
    load_ns = clock.now_ns()
    await snapshots.load(instance, save.tag)
    # A method asks more of QEMU once it has announced the end of the load. The LAPIC runs by then.
    event_ns = instance.monitor.loaded_ns
    loaded_ns = event_ns if event_ns >= load_ns else clock.now_ns()
    instance.generation = save.generation + 1
    await clock.sleep(manner.pause_before_cont_ns)
    mark(instance, MARK_CONT)  # the load may have started a new QEMU
    continued = await continue_guest(instance)
    stands = instance.config.timer_is_qemus
    timing = ResumeTiming(
        since_load=0.0 if stands else (continued.cont_ns - loaded_ns) / limits.period_ns,
        answering=continued.answering_ns / limits.period_ns,
        loading=(loaded_ns - load_ns) / limits.period_ns,
        lapic_stood=stands,
    )
    stopped_ns = save.stopped_periods * limits.period_ns
    return Resumed(
        continued.cont_ns, timing, continued.stale_bytes, load_ns, stopped_ns, dict(instance.heard)
    )


@dataclass(frozen=True, slots=True)
class Continued:
    """A stopped guest that `cont` has let run on."""

    cont_ns: int
    """When `cont` was sent, by the host's clock."""
    answering_ns: int
    """Time from `cont` to QEMU's RESUME event, or to the answer if no event came."""
    stale_bytes: int
    """Console bytes from before `cont` that were discarded unread."""


async def continue_guest(instance: Instance) -> Continued:
    """Discard what the console of a stopped guest holds, and let the guest run on.

    Raises:
        MonitorError: QEMU did not answer.
    """
    # The vCPUs are stopped: everything on the console is from before `cont`.
    stale_bytes = instance.console.drain()
    instance.monitor.take_stops()
    if counts_waits(instance):
        await instance.mark_waiting()
    cont_ns = instance.clock.now_ns()
    await instance.cont()
    # The RESUME event arrives sooner than the answer to `cont`.
    event_ns = instance.monitor.resumed_ns
    answered_ns = event_ns if event_ns > cont_ns else instance.clock.now_ns()
    return Continued(cont_ns, answered_ns - cont_ns, stale_bytes)


async def _load_running(
    instance: Instance, snapshots: Snapshots, save: Save, limits: Limits, manner: LoadManner
) -> Resumed:
    """Load while the guest runs; QEMU stops the guest and lets it run on by itself.

    The LAPIC is restored and the guest runs on at some moment between the command and QEMU's
    RESUME event. If QEMU announces no such event, the end of this time is QEMU's answer.
    """
    clock = instance.clock
    if not snapshots.new_process:
        await _run_past(instance, save, limits)
    await clock.sleep(manner.pause_before_load_ns)
    stale_bytes = instance.console.drain()
    mark(instance, MARK_LOAD)
    if counts_waits(instance):
        await instance.mark_waiting()
    load_ns = clock.now_ns()
    await snapshots.load(instance, save.tag)
    answered_ns = clock.now_ns()
    event_ns = instance.monitor.resumed_ns
    resumed_ns = event_ns if event_ns > load_ns else answered_ns
    instance.generation = save.generation + 1
    instance.monitor.take_stops()
    state = await instance.run_state()
    if state in STOPPED_STATES:
        raise NotResumedError(instance.loader.facts.need_qemu().version, state)
    within = (resumed_ns - load_ns) / limits.period_ns
    stands = instance.config.timer_is_qemus
    timing = ResumeTiming(answering=within, loading=within, lapic_stood=stands)
    stopped_ns = save.stopped_periods * limits.period_ns
    heard_before = {} if snapshots.new_process else dict(instance.heard)
    return Resumed(
        load_ns, timing, stale_bytes, load_ns, stopped_ns, heard_before,
        lines_may_be_stale=not snapshots.new_process,
    )  # fmt: skip


#: Run states of a guest that QEMU has not let run on, although nothing went wrong with it.
STOPPED_STATES = frozenset({"paused", "prelaunch", "restore-vm", "inmigrate", "postmigrate"})


async def _run_past(instance: Instance, save: Save, limits: Limits) -> None:
    """Let the guest run until every vCPU was heard to tick once after the save.

    Afterwards a stale line can't be taken for the first tick after the load. The subject of
    the built-in control prints no tick after its save, unless its timer runs by itself.

    Raises:
        EarlySilenceError: a vCPU does not tick, or the control's window does not pass.
    """
    if instance.running:
        return  # the trial before this one has heard two ticks of each vCPU
    if save.control:
        await _end_control(instance, limits)
    else:
        await instance.cont()
    config = instance.config
    for vcpu in instance.vcpus:
        if save.control and vcpu == config.guest.subject and not config.timer.goes_on:
            continue
        watch = Watch(instance, limits, vcpu)
        for _ in range(MOST_OLD_TICKS):
            heard = await watch.tick(limits.silence_ns, confirm=True)
            if not isinstance(heard, Heard):
                raise EarlySilenceError(heard)
            if heard.line.sequence > save.vcpus[vcpu].ticks:
                break
        else:
            why = f"its ticks do not go on from number {save.vcpus[vcpu].ticks}"
            raise EarlySilenceError(Unclear(why, vcpu))


async def _end_control(instance: Instance, limits: Limits) -> None:
    """Let the guest of a control run past its window; it runs on.

    Raises:
        EarlySilenceError: the window does not pass.
    """
    if not await run_past_window(instance, limits):
        why = "the window of its control has not passed"
        raise EarlySilenceError(Unclear(why, instance.config.guest.subject))


def mark(instance: Instance, text: str) -> None:
    """Write a mark into the kernel's trace, if the host records one."""
    tracer = instance.process.tracer
    if tracer:
        tracer.mark(text)
