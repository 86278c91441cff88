"""Hosts that stall, QEMUs that are killed, lines that are stale: never a false answer."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestrator.clock import Deadlines
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.findings.save import Save
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lines import ControlOpened
from orchestrator.guest.tick.config import Fault, Switches
from orchestrator.guest.tick.guest import TickFirmware
from orchestrator.guest.tick.lines import LINE, parse
from orchestrator.host.facts import HostFacts
from orchestrator.host.local import LocalHost
from orchestrator.host.local_qemu import LocalQemu
from orchestrator.qmp.monitor import Monitor
from orchestrator.snapshot.hmp import HmpSnapshots
from orchestrator.snapshot.method import Method, Resume
from orchestrator.trial.aim import NoSaveError, Saver
from orchestrator.trial.control_save import ControlSaver
from orchestrator.trial.diagnosis import diagnose
from orchestrator.trial.gather import gather
from orchestrator.trial.limits import Limits
from orchestrator.trial.load import Trial
from orchestrator.trial.look import describe, look
from orchestrator.trial.pace import Paces
from orchestrator.trial.watch import Heard, Watch
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.instance import Instance
from orchestrator.vm.launch import launch
from tests.support.campaigns import campaign
from tests.support.faulty_guest import fallen_silent
from tests.support.journal import journal_dicts
from tests.support.method_loads import CONTROLS, only_under
from tests.support.needs import not_applicable

pytestmark = pytest.mark.alone

PERIOD_NS = 20_000_000


async def slow_printing(host: LocalHost, accel: Accel, period_ns: int) -> int:
    """Return a print delay at which a tick line takes a third of a period or more."""
    delay = 100
    while True:
        program = TickFirmware(Switches(print_delay=delay))
        config = InstanceConfig(accel, GuestConfig(period_ns=period_ns), program)
        async with launch(host, config) as instance:
            watch, limits = Watch(instance, Limits(period_ns)), Limits(period_ns)
            ticks = []
            while len(ticks) < 3:
                heard = await watch.tick(limits.silence_ns, confirm=True)
                assert isinstance(heard, Heard), heard
                ticks.append(heard.line)
        share = ticks[2].print_cycles / (ticks[2].tsc - ticks[1].tsc)
        if share > 0.3:
            return delay
        delay = int(delay * max(2, 0.4 / share))


async def test_a_loss_behind_a_stale_line_is_still_a_loss(host: LocalHost, accel: Accel) -> None:
    """A save in mid-line replays the line's tail: whoever counts bytes sees a live guest."""
    period_ns = 100_000_000
    delay = await slow_printing(host, accel, period_ns)
    guest = GuestConfig(period_ns=period_ns, control_tick=7, control_periods=8)
    config = InstanceConfig(accel, guest, TickFirmware(Switches(print_delay=delay)))
    limits, paces, snapshots = Limits(period_ns), Paces(), HmpSnapshots()
    for _ in range(10):
        async with launch(host, config) as instance:
            # A busy machine may learn the pace, or stop the guest, only after the line.
            with contextlib.suppress(NoSaveError):
                await Saver(instance, snapshots, paces, limits).learn_pace()
            begun = await stopped_in_control_line(instance)
            seen = await look(instance)
            if not (paces[0].known and seen[0].printing and begun):
                continue
            part = describe(seen, paces[0].progress_per_period, config)
            save = Save("stale", 0.5, (part,))
            assert "printing" in save.ineligible
            await snapshots.save(instance, "stale")
            for _ in range(2):
                before = instance.console.received_bytes
                result = await Trial(instance, snapshots, save, paces, limits).run()
                replayed = instance.console.received_bytes - before
                line = begun + instance.console.tail()[-replayed:]
                found = LINE.fullmatch(line)
                assert found, f"the tail of the line should have come again: {line!r}"
                said = parse(found)
                assert said and isinstance(said[1], ControlOpened), line
                assert result.outcome is Outcome.LOST, result
            return
    pytest.fail("the guest stopped in the middle of a line in none of 10 tries")


async def stopped_in_control_line(instance: Instance) -> bytes:
    """Stop the guest as it prints that its control begins; return what it has printed of it."""
    async with asyncio.timeout(10):
        while b"\nC" not in instance.console.tail():  # noqa: ASYNC110  # bytes set no event
            await asyncio.sleep(0.001)
    await instance.stop()
    await look(instance)  # meanwhile the last bytes arrive
    return instance.console.tail().rpartition(b"\n")[2]


@pytest.mark.parametrize(
    ("fault", "outcome", "cause"),
    [
        (Fault.NO_REARM, Outcome.LOST, Cause.NOT_REARMED),
        (Fault.IF_CLEAR, Outcome.LOST, Cause.NOT_DELIVERABLE),
        (Fault.LVTT_MASKED, Outcome.LOST, Cause.NOT_DELIVERABLE),
        (Fault.TPR_RAISED, Outcome.LOST, Cause.NOT_DELIVERABLE),
        (Fault.TIMER_STOPPED, Outcome.LOST, Cause.NOT_RESTORED),
        (Fault.MUTE, Outcome.LOST, Cause.CONSOLE_DEAD),
        (Fault.TRIPLE_FAULT, Outcome.CRASHED, Cause.GUEST_CRASHED),
        (Fault.HALT, Outcome.UNKNOWN, Cause.VCPU_NOT_RUNNING),
    ],
)
async def test_each_way_a_real_guest_can_fall_silent(
    host: LocalHost, accel: Accel, best_accel: Accel, fault: Fault, outcome: Outcome, cause: Cause
) -> None:
    if fault not in (Fault.NO_REARM, Fault.TRIPLE_FAULT):
        only_under(best_accel, accel)
    guest = GuestConfig(period_ns=PERIOD_NS)
    result, found = await fallen_silent(host, accel, guest, fault)
    assert result.outcome is outcome, result
    assert found.cause is cause, found.sentence


@pytest.mark.parametrize("resume", list(Resume))
async def test_a_load_without_effect_is_named(
    host: LocalHost, best_accel: Accel, tmp_path: Path, resume: Resume,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """QEMU is never asked to load, and the guest goes on with its own numbers."""

    async def load(self: HmpSnapshots, instance: Instance, tag: str) -> None:
        pass

    monkeypatch.setattr(HmpSnapshots, "load", load)
    cell = await campaign(host, tmp_path / "out", best_accel, 2, resume=resume, period_ms=20)
    assert cell.counts.outcomes == {Outcome.NOT_LOADED: 2}, cell.why
    assert cell.counts.causes == {Cause.NO_EFFECT: 2}
    assert cell.verdict is Verdict.ANOMALOUS


async def test_a_stopped_qemu_loses_nothing(
    host: LocalHost, accel: Accel, best_accel: Accel, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """SIGSTOP for several periods, just after every load."""
    only_under(best_accel, accel)
    plain_cont = Instance.cont

    async def cont_and_stall(instance: Instance) -> None:
        await plain_cont(instance)
        process = instance.process
        assert isinstance(process, LocalQemu)
        os.kill(process.pid, signal.SIGSTOP)
        loop = asyncio.get_running_loop()
        loop.call_later(0.15, os.kill, process.pid, signal.SIGCONT)

    monkeypatch.setattr(Instance, "cont", cont_and_stall)
    cell = await campaign(host, tmp_path / "out", accel, 6, controls=CONTROLS)
    assert cell.counts.outcomes[Outcome.LOST] == 0
    assert cell.verdict in (Verdict.CLEAN, Verdict.INCONCLUSIVE), cell.why


async def test_a_qemu_that_stays_stopped_is_unknown(
    host: LocalHost, best_accel: Accel, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.deadlines = Deadlines(command_ns=1_000_000_000)
    limits, paces, snapshots = Limits(PERIOD_NS), Paces(), HmpSnapshots()
    async with launch(host, InstanceConfig(best_accel)) as instance:
        save, _ = await Saver(instance, snapshots, paces, limits).take("save", 0.5)
        plain_cont = Instance.cont

        async def cont_and_stop(instance: Instance) -> None:
            await plain_cont(instance)
            process = instance.process
            assert isinstance(process, LocalQemu)
            os.kill(process.pid, signal.SIGSTOP)

        monkeypatch.setattr(Instance, "cont", cont_and_stop)
        result = await Trial(instance, snapshots, save, paces, limits).run()
        assert result.outcome is Outcome.UNKNOWN, result
        evidence = await gather(instance, limits)
        diagnosis = diagnose(result.told, evidence, save, instance.config)
        assert diagnosis.cause is Cause.HARNESS_FAULT, diagnosis


@pytest.fixture
def hogs() -> Iterator[None]:
    """A busy process for every core."""
    busy = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"])
        for _ in range(os.cpu_count() or 1)
    ]
    yield
    for process in busy:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("hogs", "unpaused")
async def test_a_busy_host_loses_nothing(
    host: LocalHost, accel: Accel, best_accel: Accel, tmp_path: Path
) -> None:
    only_under(best_accel, accel)
    cell = await campaign(host, tmp_path / "out", accel, 60, controls=CONTROLS, period_ms=20)
    assert cell.counts.outcomes[Outcome.LOST] == 0
    assert cell.verdict in (Verdict.CLEAN, Verdict.INCONCLUSIVE), cell.why


#: A command, and at which of its uses QEMU is killed: the first machine tries the cell,
#: the second is the control's, the third the host's.
PHASES = (
    ("savevm", 4), ("loadvm", 4), ("stop", 4), ("cont", 4), ("info lapic", 4), ("delvm", 2),
    ("query-cpus-fast", 3), ("snapshot-save", 4), ("snapshot-load", 4),
    ("migrate-set-capabilities", 2), ("migrate", 5), ("migrate-incoming", 3),
)  # fmt: skip

#: Phases that stand for all in the usual run: the vCPUs are stopped, run, are saved and loaded, by
#: each kind of commands.
USUAL = {"savevm", "loadvm", "cont", "snapshot-load", "migrate-incoming"}


@pytest.mark.parametrize(
    ("phase", "use"),
    [
        pytest.param(phase, use, marks=() if phase in USUAL else pytest.mark.thorough)
        for phase, use in PHASES
    ],
)
async def test_a_killed_qemu_is_replaced(
    host: LocalHost, facts: HostFacts, accel: Accel, best_accel: Accel, tmp_path: Path,
    phase: str, use: int, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """SIGKILL of QEMU as a command is sent: an outcome or a new machine, and the rest goes on."""
    if phase not in ("savevm", "loadvm"):
        only_under(best_accel, accel)
    jobs = phase.startswith("snapshot-")
    if jobs and facts.qemu and not facts.qemu.has_snapshot_jobs:
        not_applicable(f"QEMU {facts.qemu.version} has no snapshot jobs")
    plain_execute = Monitor.execute
    seen = 0
    qemus: list[LocalQemu] = []
    plain_start = LocalHost.start_qemu

    async def start(*args: object, consoles: int) -> LocalQemu:
        qemus.append(await plain_start(*args, consoles=consoles))  # type: ignore[arg-type]
        return qemus[-1]

    async def execute(monitor: Monitor, command: str, *args: object, **kwargs: object) -> object:
        nonlocal seen
        line = str(args[0]["command-line"]) if command.startswith("human") else command  # type: ignore[index]
        if line.startswith(phase):
            seen += 1
            if seen == use:
                os.kill(qemus[-1].pid, signal.SIGKILL)
        return await plain_execute(monitor, command, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(LocalHost, "start_qemu", start)
    monkeypatch.setattr(Monitor, "execute", execute)
    # A save per trial: each phase comes often.
    method = Method.EXEC if phase.startswith("migrate") else Method.JOBS if jobs else Method.HMP
    cell = await campaign(
        host, tmp_path / "out", accel, 4, controls=CONTROLS, loads_per_save=1, method=method,
        period_ms=20,
    )  # fmt: skip
    assert seen >= use
    assert cell.counts.failure is None
    # One unknown attempt is more than 5 % of so few: the cell runs as many as make it 5 %.
    assert cell.counts.attempts == (20 if cell.counts.unknown_attempts else 4)
    assert cell.counts.outcomes[Outcome.LOST] == 0
    assert cell.counts.unknown_attempts <= 1
    records = journal_dicts(tmp_path / "out" / "journal.jsonl")
    noted = [r for r in records if r["record"] == "failure" or r.get("outcome") == "unknown"]
    assert len(noted) == 1, noted


@pytest.mark.parametrize("step", ["pmemsave", "info lapic", "info registers"])
async def test_a_qemu_killed_while_it_is_examined(
    host: LocalHost, best_accel: Accel, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """SIGKILL of QEMU as it is asked for its guest's state: the harness cannot tell."""
    limits, paces, snapshots = Limits(PERIOD_NS), Paces(), HmpSnapshots()
    guest = GuestConfig(control_tick=6)
    async with launch(host, InstanceConfig(best_accel, guest)) as instance:
        save = await ControlSaver(instance, snapshots, paces, limits).take_control("control")
        result = await Trial(instance, snapshots, save, paces, limits).run()
        assert result.outcome is Outcome.LOST
        process = instance.process
        assert isinstance(process, LocalQemu)
        qemu, plain_execute, asked = process.pid, Monitor.execute, []

        async def execute(monitor: Monitor, command: str, *args: Any, **kwargs: Any) -> object:
            asked.append(args[0]["command-line"] if command.startswith("human") else command)
            if asked[-1] == step:
                os.kill(qemu, signal.SIGKILL)
            return await plain_execute(monitor, command, *args, **kwargs)

        monkeypatch.setattr(Monitor, "execute", execute)
        evidence = await gather(instance, limits)
        assert asked[-1] == step, asked
        diagnosis = diagnose(result.told, evidence, save, instance.config)
        assert diagnosis.cause is Cause.HARNESS_FAULT, diagnosis
        assert evidence.failure
