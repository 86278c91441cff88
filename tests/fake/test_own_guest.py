"""A guest and a timer that only this file knows, through a whole campaign.

The guest never arms a timer: beats come from outside, as from a metronome. Nothing else in
the package or in the fake host knows its lines, its memory, its vector or its timer. If any
code asked the firmware or a LAPIC timer instead of the registries, these tests would fail.
"""

import re
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.bugs.exposure import Reason
from orchestrator.campaign.run import run_plan
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.guest import lines
from orchestrator.guest.bare import BareGuest
from orchestrator.guest.config import GuestConfig
from orchestrator.guest.lapic import Lapic
from orchestrator.guest.lines import ControlOpened, Line, Ready, Tick
from orchestrator.guest.protocol import Memory, Question
from orchestrator.guest.registry import GUESTS
from orchestrator.guest.saved_state import SavedState
from orchestrator.guest.state import GuestState, Stage
from orchestrator.guest.tick import lines as firmware
from orchestrator.guest.wait import Wait
from orchestrator.journal.file import JOURNAL
from orchestrator.plan.faults import PlanError
from orchestrator.plan.load import build_plan
from orchestrator.testing import (
    FakeHost,
    FakeQemu,
    FakeVcpu,
    Script,
    immediate,
    lost,
    only_in_trials,
    remaining,
)
from orchestrator.timers.armed import ArmedTimer
from orchestrator.timers.first_tick import ResumeTiming
from orchestrator.timers.registry import TIMERS
from orchestrator.timers.timer import Hearing
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.journal import journal_dicts

VECTOR = 0x50
ADDRESS = 0x4000
PERIOD_MS = 100


@dataclass(frozen=True)
class Metronome(ArmedTimer):
    """Beats reach the guest from outside; a beat that is lost is one beat, or all of them."""

    name: str = "metronome"
    cpu_features: str = "+metronome"
    first_tick_periods: float = 0.5
    reloads: bool = False

    def armed(self, state: GuestState, lapic: Lapic) -> bool:
        return True

    def masked(self, lapic: Lapic, vector: int) -> bool:
        return False

    def due(
        self, phase: float, resumed: ResumeTiming, held: float = 0.0
    ) -> Mapping[Outcome, tuple[float, float]]:
        return {Outcome.REMAINING: (1 - phase, 1 - phase)}

    def control_periods(self, period_ns: int, times: int = 1) -> int:
        return 7

    def control_lost(self, outcome: Outcome, cause: Cause | None) -> bool:
        return outcome is Outcome.LOST and cause is Cause.NOT_RESTORED

    def explain_silence(self, hearing: Hearing) -> tuple[Cause, str]:
        assert hearing.vector == VECTOR
        return Cause.NOT_RESTORED, f"the metronome stands still: {hearing.why}."


@dataclass(frozen=True)
class Listener(BareGuest):
    """Counts beats, and prints them in a form of its own: `beat 0 7 100 ...;`."""

    name: str = "listener"
    timers: tuple[str, ...] = ("metronome",)
    waits: tuple[Wait, ...] = (Wait.BUSY,)
    states: tuple[SavedState, ...] = (SavedState.ARMED,)
    vector: int = VECTOR
    sha256: str = "f" * 64
    questions: tuple[Question, ...] = (Question("first word"), Question("second word"))
    control_tick: int = 9
    line: re.Pattern[bytes] = re.compile(rb"(ready|beat|hush|word) (\d+)((?: \d+)*);\n")

    @property
    def files(self) -> Mapping[str, bytes]:
        return {"listener.elf": b"\x7fELF"}

    def qemu_args(self, config: GuestConfig) -> Sequence[str]:
        told = (config.period_ns, config.control_tick, config.control_periods)
        return ["-kernel", "listener.elf", "-append", " ".join(map(str, told))]

    def consoles(self, config: GuestConfig) -> int:
        return 1

    def parse(self, match: re.Match[bytes]) -> tuple[int, Line] | None:
        vcpu, n = int(match[2]), [int(number) for number in match[3].split()]
        match match[1]:
            case b"ready":
                return vcpu, Ready()
            case b"beat":
                return vcpu, Tick(n[0], n[1], n[2], print_cycles=0, arms=0)
            case b"hush":
                return vcpu, ControlOpened(n[0], n[1])
        return vcpu, lines.Testimony(
            n[0], 0, 0, 0, 0, 0, 0, 0, 0, progress=n[1], ticks=n[2], arms=0, flags=0x202, cs=0, ip=0
        )

    async def state(self, memory: Memory, vcpu: int) -> GuestState:
        beats, spins, left = struct.unpack("<3I", await memory.read(ADDRESS, 12))
        stage = Stage.CONTROL_WINDOW if left else Stage.TICKING
        return GuestState(False, beats, 0, spins, beats, stage, left)


class ListenerVcpu(FakeVcpu):
    """A vCPU that listens: its LAPIC is off, and the firmware's tick vector is pending."""

    def info_lapic(self, state: SavedState = SavedState.ARMED) -> str:
        return super().info_lapic(state).replace("IRR\t (none)", "IRR\t 64")


class ListenerQemu(FakeQemu):
    """A QEMU with the listener: it says what the fake firmware says, in the listener's form."""

    def say(self, data: bytes) -> None:
        for found in firmware.LINE.finditer(data):
            said = firmware.parse(found)
            assert said is not None
            match said[1]:
                case Tick(sequence, spins, tsc):
                    text = f"beat 0 {sequence} {spins} {tsc}"
                case ControlOpened(sequence, window):
                    text = f"hush 0 {sequence} {window}"
                case lines.Testimony() as word:
                    text = f"word 0 {word.number} {word.progress} {word.ticks}"
                case _:
                    text = "ready 0"
            super().say(f"{text};\n".encode())

    def memory(self, address: int, size: int) -> bytes:
        assert (address, size) == (ADDRESS, 12)
        vcpu, left = self.vcpus[0], 0
        if vcpu.window_until_ns is not None:
            left = max(0, vcpu.window_until_ns - vcpu.ran_ns) // 1000
        return struct.pack("<3I", vcpu.ticks, (vcpu.ran_ns - vcpu.last_tick_ns) // 1000, left)


class ListenerHost(FakeHost):
    """A host whose QEMUs know nothing but the listener."""

    async def start_qemu(
        self, args: Sequence[str], files: Mapping[str, bytes], *, consoles: int = 1
    ) -> FakeQemu:
        assert files["listener.elf"] == b"\x7fELF"
        assert "qemu64,+metronome" in args
        period_ns, control_tick, periods = map(int, args[args.index("-append") + 1].split())
        config = GuestConfig("metronome", period_ns=period_ns, control_tick=control_tick,
                             control_periods=periods)  # fmt: skip
        qemu = ListenerQemu(config, self.script, args, files)
        qemu.vcpus = [ListenerVcpu(due_ns=period_ns, tmict=0, lvtt=0x10000)]
        self.started.append(qemu)
        return qemu


@pytest.fixture(autouse=True)
def registered() -> Iterator[None]:
    with GUESTS.added(Listener()), TIMERS.added(Metronome()):
        yield


async def campaign(
    tmp_path: Path, script: Script, **axes: object
) -> tuple[CellResult, ListenerHost]:
    axes = {"guest": "listener", "mode": "metronome", **axes}
    plan = build_plan(
        {
            "seed": 1,
            "axes": {"accel": "kvm", "period_ms": PERIOD_MS, **axes},
            "limits": {"trials": 5, "rule_out": 0.5},
        },
        "test",
    )
    host = ListenerHost(script)
    (cell,) = (await run_plan(host, plan, Accel.KVM, tmp_path)).cells
    return cell, host


async def test_plain_beats_are_clean(tmp_path: Path) -> None:
    cell, host = await campaign(tmp_path, Script(remaining))
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert cell.counts.outcomes == {Outcome.REMAINING: 5}
    assert [control.cause for control in cell.counts.controls] == [Cause.NOT_RESTORED] * 2
    assert all(control.seen for control in cell.counts.controls)
    assert cell.cell.id.endswith("/guest=listener")
    assert "/metronome/" in cell.cell.id
    begun = journal_dicts(tmp_path / JOURNAL)[0]
    assert begun["guests"] == {"listener": "f" * 64}
    controls = [qemu.config for qemu in host.started if qemu.config.control_tick]
    assert [(told.control_tick, told.control_periods) for told in controls] == [(9, 7)] * 2
    assert cell.exposure.reason is Reason.OTHER_TIMER


async def test_the_classes_of_a_first_beat_are_those_of_its_timer(tmp_path: Path) -> None:
    cell, _ = await campaign(tmp_path, Script(immediate))
    assert set(cell.counts.outcomes) == {Outcome.EARLY}  # this timer has no class `immediate`


async def test_lost_beats_are_diagnosed_by_their_own_timer(tmp_path: Path) -> None:
    cell, host = await campaign(tmp_path, Script(only_in_trials(lost)))
    assert cell.verdict is Verdict.ANOMALOUS, cell.why
    assert cell.counts.causes == {Cause.NOT_RESTORED: 5}
    assert cell.counts.bug_losses == 0
    # Two NMIs testify. The firmware's third, which re-arms, is not sent.
    losers = [qemu for qemu in host.started if qemu.loads and not qemu.config.control_tick]
    assert [qemu.vcpus[0].nmis for qemu in losers] == [2] * 5
    (folder, *_) = sorted(tmp_path.rglob("diagnosis.txt"))
    assert "the metronome stands still" in folder.read_text()


async def test_without_a_control_no_verdict_is_clean(tmp_path: Path) -> None:
    with GUESTS.added(Listener("unchecked", control_tick=0)):
        cell, _ = await campaign(tmp_path, Script(remaining), guest="unchecked")
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert cell.counts.outcomes == {Outcome.REMAINING: 5}
    assert cell.counts.controls == []


async def test_a_guest_without_the_timer_is_skipped(tmp_path: Path) -> None:
    cell, _ = await campaign(tmp_path, Script(remaining), mode="one-shot")
    assert cell.verdict is Verdict.SKIPPED
    assert cell.why == ("the listener guest cannot tick by the timer one-shot. It knows: metronome")


@pytest.mark.parametrize(("axis", "kind"), [("mode", "timer"), ("guest", "guest")])
def test_an_unknown_name_is_a_fault_of_the_plan_that_lists_the_known_ones(
    axis: str, kind: str
) -> None:
    names = {"timer": TIMERS.names, "guest": GUESTS.names}[kind]
    with pytest.raises(PlanError) as caught:
        build_plan({"axes": {axis: "sundial"}}, "test")
    (fault,) = caught.value.faults
    assert f"there is no {kind} 'sundial'. Known: {', '.join(names)}" in fault
