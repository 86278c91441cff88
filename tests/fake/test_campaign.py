"""Whole campaigns on a host that is nothing but the protocol."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.load import build_plan
from orchestrator.process.exit import ProcessExit
from orchestrator.results.meaning import meaning
from orchestrator.results.summary import summary
from orchestrator.testing import (
    FakeHost,
    FakeQemu,
    FakeVcpu,
    Script,
    full_period,
    immediate,
    lost,
    remaining,
)
from orchestrator.testing.script import Behaviour
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.golden_campaigns import after
from tests.support.journal import journal_dicts


@pytest.mark.parametrize(
    ("behaviour", "outcome"),
    [
        (immediate, Outcome.IMMEDIATE),
        (full_period, Outcome.FULL_PERIOD),
        (remaining, Outcome.REMAINING),
    ],
)
async def test_plain_ticking_is_clean(
    tmp_path: Path, behaviour: Behaviour, outcome: Outcome
) -> None:
    result, _ = await campaign(tmp_path, Script(behaviour))
    (cell,) = result.cells
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert cell.counts.outcomes[outcome] >= 4
    assert [control.seen for control in cell.counts.controls] == [True, True]


async def test_a_lost_interrupt_on_an_exposed_host_is_affected(tmp_path: Path) -> None:
    result, host = await campaign(tmp_path, only_ordinary(lost), trials=3)
    (cell,) = result.cells
    assert cell.verdict is Verdict.AFFECTED
    assert cell.counts.causes == {Cause.LOST_INTERRUPT: 3}
    # Sampling went on to the end, and each loss had a QEMU of its own.
    assert cell.counts.outcomes == {Outcome.LOST: 3}
    assert len(host.started) == 1 + 3 + 2  # one to try the cell, two controls
    assert cell.rate.low > 0.29
    records = [r for r in journal_dicts(result.journal) if r["record"] == "trial"]
    for record in (r for r in records if r["role"] == "host"):
        folder = tmp_path / record["evidence"]
        assert (
            json.loads((folder / "evidence.json").read_text())["evidence"]["vcpus"][0]["rescued"]
            is True
        )
        assert "lost one-shot interrupt" in (folder / "diagnosis.txt").read_text()


async def test_the_evidence_of_a_tick_that_came_late_has_its_times(tmp_path: Path) -> None:
    """Ticks by every clock, the time that the vCPU did not run, and the reason in words."""
    result, _ = await campaign(tmp_path, only_ordinary(after(3)), trials=3)
    (cell,) = result.cells
    records = [r for r in journal_dicts(result.journal) if r["record"] == "trial"]
    missed = [r for r in records if r["outcome"] == Outcome.MISSED and r["role"] == "host"]
    assert len(missed) == cell.counts.outcomes[Outcome.MISSED] >= 1
    for record in missed:
        folder = tmp_path / record["evidence"]
        (part,) = json.loads((folder / "evidence.json").read_text())["trial"]["vcpus"]
        first, *_ = part["heard"]
        assert {"tsc", "progress", "stolen", "longest"} <= first["tick"].keys()
        assert first["at_ns"] > 0
        assert part["late_periods"] > 1
        assert part["stolen_periods"] >= 0
        assert (folder / "why.txt").read_text().startswith("vCPU 0: missed\n\n")
        assert part["why"] in (folder / "why.txt").read_text()
    assert "The evidence folders have the lines of the ticks that went wrong" in meaning(result)


def pending_until(look: str) -> Behaviour:
    def break_it(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns, vcpu.pending = None, look

    return break_it


@pytest.mark.parametrize(
    ("look", "cause"),
    [
        ("pmemsave", Cause.CAME_BACK),  # nobody has read the IRR by then
        ("info lapic", Cause.PENDING),
        ("query-stats", Cause.PENDING),
        ("info registers", Cause.PENDING),
        ("inject-nmi", Cause.PENDING),
    ],
)
async def test_ticks_that_a_look_brings_back_are_pending_if_it_was_seen(
    tmp_path: Path, look: str, cause: Cause
) -> None:
    result, _ = await campaign(tmp_path, only_ordinary(pending_until(look)), trials=1)
    (cell,) = result.cells
    assert cell.verdict is Verdict.ANOMALOUS
    assert cell.counts.causes == {cause: 1}
    record = next(
        r for r in journal_dicts(result.journal) if r["record"] == "trial" and r["role"] == "host"
    )
    named = {"inject-nmi": "NMI 1"}.get(look, look)
    assert f"ticks came back at {named}," in record["diagnosis"]["sentence"]


def broken_guest(**fields: object) -> Behaviour:
    def break_it(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns = None
        for name, value in fields.items():
            setattr(vcpu, name, value)

    return break_it


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"tmict": 0}, Cause.NOT_RESTORED),
        ({"flags": 0x46}, Cause.NOT_DELIVERABLE),
        ({"lvtt": 0x10040}, Cause.NOT_DELIVERABLE),
        ({"pending": "never"}, Cause.PENDING),
    ],
)
async def test_other_losses_are_not_called_the_bug(
    tmp_path: Path, fields: dict[str, object], cause: Cause
) -> None:
    result, _ = await campaign(tmp_path, only_ordinary(broken_guest(**fields)), trials=1)
    (cell,) = result.cells
    assert cell.counts.causes == {cause: 1}
    assert cell.verdict is Verdict.ANOMALOUS


async def test_a_guest_that_does_not_rearm(tmp_path: Path) -> None:
    def break_it(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns, vcpu.arms = None, vcpu.ticks

    result, _ = await campaign(tmp_path, only_ordinary(break_it), trials=1)
    assert result.cells[0].counts.causes == {Cause.NOT_REARMED: 1}


async def test_a_dead_console_is_no_loss_of_ticks(tmp_path: Path) -> None:
    def break_it(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.mute = True

    result, _ = await campaign(tmp_path, only_ordinary(break_it), trials=1)
    assert result.cells[0].counts.causes == {Cause.CONSOLE_DEAD: 1}
    assert result.cells[0].counts.outcomes == {Outcome.UNKNOWN: 1}
    assert result.verdict is Verdict.INCONCLUSIVE


async def test_recovery_unaided(tmp_path: Path) -> None:
    def break_it(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns = vcpu.ran_ns + 11 * qemu.period_ns

    result, _ = await campaign(tmp_path, only_ordinary(break_it), trials=1)
    assert result.cells[0].counts.outcomes == {Outcome.RECOVERED: 1}
    assert result.verdict is Verdict.ANOMALOUS


async def test_missed_periods(tmp_path: Path) -> None:
    def break_it(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns = vcpu.ran_ns + 3 * qemu.period_ns

    result, _ = await campaign(tmp_path, only_ordinary(break_it), trials=1)
    assert result.cells[0].counts.outcomes[Outcome.MISSED] > 1
    assert result.verdict is Verdict.ANOMALOUS
    record = next(
        r for r in journal_dicts(result.journal) if r["record"] == "trial" and r["role"] == "host"
    )
    assert record["missing_periods"] == 2


async def test_a_guest_that_crashes(tmp_path: Path) -> None:
    def break_it(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.halted, qemu.state = True, "internal-error"
        qemu.stderr = (
            "warning: old\nerror: kvm run failed Bad address\nEAX=0 \x1b[2J\nCR0=60000010\n"
        )

    result, _ = await campaign(tmp_path, only_ordinary(break_it), trials=1)
    assert result.cells[0].counts.outcomes == {Outcome.CRASHED: 1}
    assert result.cells[0].counts.causes == {Cause.GUEST_CRASHED: 1}
    record = next(
        r for r in journal_dicts(result.journal) if r["record"] == "trial" and r["role"] == "host"
    )
    said = record["diagnosis"]["sentence"]
    assert said.endswith(
        "the guest is 'internal-error'. QEMU's words: error: kvm run failed Bad address"
    )
    (kept,) = tmp_path.glob("**/qemu_stderr.txt")
    assert "CR0=60000010" in kept.read_text()
    assert "\x1b" not in kept.read_text()


@pytest.mark.parametrize("method", ["hmp", "exec"])
@pytest.mark.parametrize(
    ("code", "how", "words"),
    [
        (-6, "by SIGABRT", "KVM_SET_LAPIC failed"),
        (1, "with exit status 1", "Failed to put registers after init"),
    ],
)
async def test_a_qemu_that_crashes_at_a_load_in_its_own_words(
    tmp_path: Path, method: str, code: int, how: str, words: str
) -> None:
    """As QEMU does when KVM_SET_LAPIC or another call fails: it says so, and aborts or exits."""

    def abort(qemu: FakeQemu) -> object:
        if qemu.config.control_tick == 0:
            said = f"warning: old\n{words}: Invalid argument \x1b[2J\n"
            qemu.end(ProcessExit(code, said))
        return None

    script = Script(immediate, {"loadvm": abort, "migrate-incoming": abort})
    result, _ = await campaign(tmp_path, script, trials=2, method=method)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.CRASHED: 2}
    assert cell.counts.causes == {Cause.QEMU_CRASHED: 2}
    assert cell.verdict is Verdict.ANOMALOUS
    assert "QEMU crashed" in cell.why
    (found, *_) = [r["diagnosis"] for r in journal_dicts(result.journal) if r.get("diagnosis")][1:]
    assert found["sentence"].endswith(
        f"QEMU crashed {how}. Its last words: {words}: Invalid argument \\x1b[2J."
    )


async def test_a_stalled_vcpu_is_unknown_and_never_lost(tmp_path: Path) -> None:
    def break_it(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        qemu.frozen = True

    result, _ = await campaign(tmp_path, only_ordinary(break_it), trials=1)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.UNKNOWN: 1}
    assert cell.counts.attempts == cell.counts.unknown_attempts == 3
    assert cell.counts.causes == {Cause.VCPU_NOT_RUNNING: 1}
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert "attempts ended unknown" in cell.why


async def test_a_detector_that_misses_the_control_is_never_clean(tmp_path: Path) -> None:
    def deaf(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.window_until_ns = None  # the control's loss is undone
        immediate(qemu, vcpu, number)

    result, _ = await campaign(tmp_path, Script(deaf))
    (cell,) = result.cells
    assert cell.verdict is Verdict.INCONCLUSIVE
    assert "0 of 2 injected losses were seen" in cell.why


async def test_summary_has_what_readers_rely_on(tmp_path: Path) -> None:
    result, _ = await campaign(tmp_path, Script(immediate))
    data = json.loads(json.dumps(summary(result)))
    assert data["verdict"] == "clean"
    assert data["exposure"] == {
        "state": "exposed",
        "why": "kvm_intel runs with enable_apicv=Y",
        "reason": "apicv-on",
    }
    assert data["host"]["kernel"] == "6.6.1-fake"
    (cell,) = data["cells"]
    assert {"id", "verdict", "trials", "outcomes", "diagnoses", "controls"} <= cell.keys()
    rate = {"estimate", "low", "high", "confidence", "per", "over_saves"}
    assert cell["loss_rate"].keys() == rate
    assert cell["first_tick_periods"].keys() == cell["first_tick_ms"].keys() == {"median", "p99"}
    assert Path(data["journal"]).is_file()


@pytest.mark.parametrize("accel", list(Accel))
async def test_a_host_that_starts_no_guest_is_a_harness_failure(
    tmp_path: Path, accel: Accel
) -> None:
    host = FakeHost()
    host.refuse = "Could not access KVM kernel module"
    plan = build_plan({"axes": {"accel": accel}}, "test")
    result = await run_plan(host, plan, accel, tmp_path)
    assert result.failed
    assert result.verdict is Verdict.INCONCLUSIVE
    assert "Could not access KVM" in result.cells[0].why


def late(break_it: Callable[[FakeQemu], None], after_ns: int) -> Script:
    """A script that breaks ordinary guests some while after a load, between saves."""

    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if not qemu.config.control_tick:
            qemu.do_later(after_ns, lambda: break_it(qemu))

    return Script(on_load)


async def test_a_guest_that_freezes_between_saves_is_counted(tmp_path: Path) -> None:
    """Two ticks after its load it is well; a freeze after that is found as well."""

    def freeze(qemu: FakeQemu) -> None:
        qemu.vcpus[0].due_ns = None

    result, _ = await campaign(tmp_path, late(freeze, 180_000_000), 4, loads_per_save=1)
    (cell,) = result.cells
    assert cell.counts.outcomes[Outcome.LOST] >= 1
    assert cell.counts.causes[Cause.LOST_INTERRUPT] >= 1
    assert cell.counts.bug_losses == 0
    assert cell.verdict is Verdict.ANOMALOUS, cell.why


async def test_a_qemu_that_dies_between_saves_is_counted(tmp_path: Path) -> None:
    def die(qemu: FakeQemu) -> None:
        qemu.end(ProcessExit(-11, "segfault"))

    result, _ = await campaign(tmp_path, late(die, 180_000_000), 4, loads_per_save=1)
    (cell,) = result.cells
    assert cell.counts.outcomes[Outcome.CRASHED] >= 1
    assert cell.verdict is Verdict.ANOMALOUS, cell.why


async def test_a_late_second_tick_is_missed(tmp_path: Path) -> None:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if not qemu.config.control_tick:
            vcpu.stretch_next_ns = 3 * qemu.period_ns

    result, _ = await campaign(tmp_path, Script(on_load), trials=1)
    assert result.cells[0].counts.outcomes[Outcome.MISSED] > 1
    assert result.verdict is Verdict.ANOMALOUS


async def test_a_proven_loss_stands_however_the_wait_ended(tmp_path: Path) -> None:
    """The host stalls past the cap, and the tick really is lost."""

    def break_it(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns, qemu.frozen = None, True
        loop = asyncio.get_running_loop()
        loop.call_later(0.55, setattr, qemu, "frozen", False)  # the cap is 0.5 s of ours

    result, _ = await campaign(tmp_path, only_ordinary(break_it), trials=1)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.LOST: 1}, cell.counts
    assert cell.verdict is Verdict.AFFECTED


async def test_a_timer_restored_with_another_count_is_not_the_bug(tmp_path: Path) -> None:
    broken = broken_guest(tmict=12345)
    result, _ = await campaign(tmp_path, only_ordinary(broken), trials=1)
    assert result.cells[0].counts.causes == {Cause.NOT_RESTORED: 1}


async def test_periodic_on_an_exposed_host_claims_nothing(tmp_path: Path) -> None:
    result, _ = await campaign(tmp_path, Script(full_period), 5, mode="periodic")
    (cell,) = result.cells
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert "weak evidence" in meaning(result)


async def test_same_seed_same_phases(tmp_path: Path) -> None:
    intended = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        result, _ = await campaign(tmp_path / name, Script(immediate), trials=3)
        intended.append(
            [
                record["intended_phase"]
                for record in journal_dicts(result.journal)
                if record["record"] == "save" and record["role"] == "host" and record["eligible"]
            ]
        )
    assert intended[0] == intended[1] != []


@pytest.mark.parametrize(("starved", "least_s", "most_s"), [(False, 2.5, 4), (True, 5, 8)])
async def test_a_vcpu_that_sleeps_by_itself_is_not_waited_for_as_long_as_one_that_is_starved(
    tmp_path: Path, *, starved: bool, least_s: float, most_s: float
) -> None:
    def break_it(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        qemu.frozen, vcpu.halted = starved, not starved

    result, _ = await campaign(tmp_path, only_ordinary(break_it), trials=1)
    (cell,) = result.cells
    assert cell.counts.outcomes == {Outcome.UNKNOWN if starved else Outcome.LOST: 1}
    took_ns = [
        record["duration_ns"] for record in journal_dicts(result.journal)
        if record["record"] == "trial" and record["role"] == "host"
    ]  # fmt: skip
    assert took_ns
    assert all(least_s * 1e9 <= each <= most_s * 1e9 for each in took_ns), took_ns
