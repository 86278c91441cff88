"""From the first late tick on, each load is paired with a sham: a busy host is not accused."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from orchestrator.campaign.resume import read_run
from orchestrator.campaign.run import run_plan
from orchestrator.findings.outcome import LATE, Outcome
from orchestrator.journal.pairing import FIRST_LOOK
from orchestrator.plan.load import build_plan
from orchestrator.plan.plan import Plan
from orchestrator.results.summary import summary
from orchestrator.testing import FakeHost, FakeQemu, FakeVcpu, Script, immediate
from orchestrator.testing.script import Behaviour
from orchestrator.trial.follow import LEAST_TICKS, Follower
from orchestrator.trial.sham import Sham
from orchestrator.verdict.late import pairs_to_run
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.cut_short_runs import cut_short
from tests.support.heard import Heard
from tests.support.journal import journal_dicts


def plan(trials: int, seed: int = 1, **axes: object) -> Plan:
    return build_plan(
        {
            "seed": seed, "axes": {"accel": "kvm", "period_ms": 100, **axes},
            "limits": {"trials": trials, "rule_out": 0.5}, "controls": 2,
        },
        "test",
    )  # fmt: skip


class BusyHost:
    """A host on which a share of the guest's ticks comes late after any `cont`, load or not."""

    def __init__(self, share: float, on_load: Behaviour = immediate, seed: int = 5) -> None:
        self._rng = random.Random(seed)
        self._share = share
        self.script = Script(on_load, {"cont": self._cont})

    def _cont(self, qemu: FakeQemu) -> None:
        (vcpu,) = qemu.vcpus
        late = self._rng.random() < self._share and not qemu.config.control_tick
        if late and vcpu.due_ns and vcpu.due_ns < vcpu.ran_ns + 2 * qemu.period_ns:
            vcpu.due_ns += int(3.2 * qemu.period_ns)


def records(path: Path, role: str) -> list[dict[str, Any]]:
    return [r for r in journal_dicts(path) if r["record"] == "trial" and r["role"] == role]


def late(records: list[dict[str, Any]]) -> int:
    return sum(r["outcome"] in LATE for r in records)


@pytest.mark.parametrize("share", [0.05, 0.3])
async def test_a_busy_host_is_not_accused(tmp_path: Path, share: float) -> None:
    host, heard = FakeHost(BusyHost(share).script), Heard()
    result = await run_plan(host, plan(60), Accel.KVM, tmp_path, heard)  # type: ignore[arg-type]
    (cell,) = result.cells
    assert cell.verdict is Verdict.CLEAN, cell.why
    (note,) = heard.notes
    assert note.startswith(
        f"{cell.cell.id}: a tick came late. From now on each load is paired with a sham (stop and "
        "continue without a load), to tell a busy host from a fault of the load; "
    )
    assert note.endswith(" loads are left")
    assert "the host is busy, and the loads are not to blame" in cell.why
    loads, shams = records(result.journal, "host"), records(result.journal, "sham")
    assert late(loads) and late(shams)
    pairing = cell.counts.pairing
    assert pairing.counts.pairs == pairs_to_run(1, 60) == 60
    assert len(shams) == pairing.shams.total() >= pairing.counts.pairs
    assert cell.counts.outcomes.keys() & LATE
    assert not cell.classes.keys() & LATE
    assert cell.classes[Outcome.INDISTINCT] >= late(loads)
    (shown,) = summary(result)["cells"]
    assert shown["classes"] == {str(each): count for each, count in cell.classes.items()}
    counts = pairing.counts
    assert shown["pairs"] == {
        "pairs": counts.pairs, "only_load_late": counts.treated_only,
        "only_sham_late": counts.untreated_only, "shams": dict(pairing.shams),
    }  # fmt: skip
    # Nothing is paired before the first late tick, and everything after it.
    first = next(at for at, load in enumerate(loads) if load["outcome"] in LATE)
    assert all(load.get("pair") is None for load in loads[: first + 1])
    assert all(load.get("pair") for load in loads[first + 1 :])


@pytest.mark.parametrize("loads_per_save", [1, 3])
async def test_both_members_of_a_pair_follow_as_many_ticks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loads_per_save: int
) -> None:
    """More ticks are followed after the last load of a save, and each may be late."""
    followed: list[int] = []

    class Noted(Follower):
        def __init__(self, *args: Any, ticks: int = LEAST_TICKS, **others: Any) -> None:
            super().__init__(*args, ticks=ticks, **others)
            followed.append(ticks)

    monkeypatch.setattr("orchestrator.trial.load.Follower", Noted)
    monkeypatch.setattr("orchestrator.trial.sham.Follower", Noted)
    several = plan(25, loads_per_save=loads_per_save)
    result = await run_plan(FakeHost(BusyHost(0.1).script), several, Accel.KVM, tmp_path)
    trials = [r for r in journal_dicts(result.journal) if r["record"] == "trial"]
    assert len(trials) == len(followed)
    pairs: dict[int, list[int]] = {}
    for trial, ticks in zip(trials, followed, strict=True):
        if trial.get("pair"):
            pairs.setdefault(trial["pair"], []).append(ticks)
    del pairs[max(pairs)]  # the last load of all is followed longer
    assert {len(ticks) for ticks in pairs.values()} == {2}
    assert all(first == second for first, second in pairs.values())
    assert any(first > LEAST_TICKS for first, _ in pairs.values())


async def test_shams_take_place_in_guests_that_were_never_loaded(tmp_path: Path) -> None:
    host = FakeHost(BusyHost(0.1).script)
    result = await run_plan(host, plan(50), Accel.KVM, tmp_path)
    found = journal_dicts(result.journal)
    shams = {
        kind: [r for r in found if r["record"] == kind and r.get("role") == "sham"]
        for kind in ("instance", "save", "trial")
    }
    assert {r["generation"] for r in shams["save"]} == {0}
    assert any(r["gaps"] for r in shams["trial"]), "their ticks count as ticks before any load"
    kinds = Counter(r["record"] for r in found if r.get("role") != "control")
    assert len(shams["instance"]) < kinds["instance"] == kinds["console"]


async def test_only_one_of_the_two_guests_of_a_pair_runs_at_a_time(tmp_path: Path) -> None:
    """They share their CPUs, and would make each other's ticks late."""
    running: list[int] = []
    busy = BusyHost(0.1)

    def cont(qemu: FakeQemu) -> None:
        others = (each for each in host.started if each is not qemu)
        running.append(sum(each.running and not each.ended for each in others))
        busy._cont(qemu)

    host = FakeHost(Script(immediate, {"cont": cont}))
    await run_plan(host, plan(30), Accel.KVM, tmp_path)
    assert len(running) > 60 and set(running) == {0}


@pytest.mark.parametrize("method", ["hmp", "exec", "incoming"])
async def test_a_sham_has_the_cpus_of_a_load(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """A QEMU that loads as it starts is not pinned, and so a sham beside it is not either."""
    pinned: dict[FakeQemu, int] = {}

    async def pin(qemu: FakeQemu, thread_id: int, cpu: int | None = None) -> int:
        pinned[qemu] = len(pinned) if cpu is None else cpu
        return pinned[qemu]

    monkeypatch.setattr(FakeQemu, "pin", pin)
    cpus: list[tuple[int | None, int | None]] = []
    run = Sham.run

    async def noted(sham: Sham, *args: Any) -> Any:
        now = [qemu for qemu in host.started if not qemu.ended]
        ours = next(qemu for qemu in now if qemu.qmp is sham._instance.process.qmp)
        (other,) = (qemu for qemu in now if qemu is not ours)
        cpus.append((pinned.get(ours), pinned.get(other)))
        return await run(sham, *args)

    monkeypatch.setattr(Sham, "run", noted)
    host = FakeHost(BusyHost(0.1).script)
    await run_plan(host, plan(30, method=method), Accel.KVM, tmp_path)
    assert len(cpus) > 20
    if method == "incoming":
        assert {sham for sham, _ in cpus} == {None}
    else:
        assert all(sham == loaded is not None for sham, loaded in cpus)


async def test_loads_after_which_a_guest_is_never_punctual_again_are_accused(
    tmp_path: Path,
) -> None:
    """In a guest that was loaded, one tick in seven comes late after a stop and `cont` as well."""
    loaded: set[int] = set()
    rng = random.Random(4)

    def worse(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if not qemu.config.control_tick:
            loaded.add(id(qemu))

    def cont(qemu: FakeQemu) -> None:
        (vcpu,) = qemu.vcpus
        if id(qemu) in loaded and rng.random() < 0.15:
            vcpu.due_ns = vcpu.ran_ns + int(3.2 * qemu.period_ns)

    host = FakeHost(Script(worse, {"cont": cont}))
    result = await run_plan(host, plan(100), Accel.KVM, tmp_path)
    (cell,) = result.cells
    assert cell.verdict is Verdict.ANOMALOUS, cell.why
    assert "the loads make ticks late (exact McNemar test" in cell.why


async def test_loads_that_make_ticks_late_are_accused(tmp_path: Path) -> None:
    rng = random.Random(2)

    def some_late(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if not qemu.config.control_tick and rng.random() < 0.2:
            vcpu.due_ns = vcpu.ran_ns + int(3.2 * qemu.period_ns)

    host = FakeHost(BusyHost(0.03, some_late).script)
    result = await run_plan(host, plan(180), Accel.KVM, tmp_path)
    (cell,) = result.cells
    assert cell.verdict is Verdict.ANOMALOUS
    assert "the loads make ticks late (exact McNemar test" in cell.why
    assert cell.classes == cell.counts.outcomes


async def test_loads_that_make_every_tick_late_are_accused_at_the_first_look(
    tmp_path: Path,
) -> None:
    def three_late(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        vcpu.due_ns = vcpu.ran_ns + (0 if qemu.config.control_tick else 3 * qemu.period_ns)

    result = await run_plan(FakeHost(Script(three_late)), plan(2), Accel.KVM, tmp_path)
    (cell,) = result.cells
    assert cell.verdict is Verdict.ANOMALOUS
    assert cell.counts.pairing.counts.pairs == FIRST_LOOK
    assert len(records(result.journal, "sham")) == FIRST_LOOK


async def test_a_small_campaign_stays_small(tmp_path: Path) -> None:
    """One late tick, as a busy host makes it: 20 pairs, and a verdict that says what they show."""

    def first_late(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if number == 1 and len(host.started) == 3:
            vcpu.due_ns = vcpu.ran_ns + int(3.2 * qemu.period_ns)

    host = FakeHost(Script(first_late))
    result = await run_plan(host, plan(2), Accel.KVM, tmp_path)
    (cell,) = result.cells
    assert cell.counts.pairing.counts.pairs == FIRST_LOOK
    assert cell.counts.trials == 1 + FIRST_LOOK
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert "In 20 pairs of a load and a sham" in cell.why
    assert "would have shown, with a probability of 80%, an excess of 41.8% of loads" in cell.why


async def test_the_order_of_pairs_is_drawn_from_the_seed(tmp_path: Path) -> None:
    orders = []
    for run, seed in enumerate((1, 1, 2)):
        (out := tmp_path / str(run)).mkdir()
        result = await run_plan(FakeHost(BusyHost(0.1).script), plan(30, seed), Accel.KVM, out)
        members = [r for r in journal_dicts(result.journal) if r.get("pair")]
        firsts: dict[int, str] = {}
        for member in members:
            firsts.setdefault(member["pair"], member["role"])
        orders.append([firsts[number] for number in range(1, 30)])
    assert orders[0] == orders[1] != orders[2]
    assert 6 < orders[0].count("sham") < 23


async def test_pairs_go_on_where_a_run_was_cut_short(tmp_path: Path) -> None:
    before = await cut_short(tmp_path, BusyHost(0.1).script, "trial", 40, plan=plan(30))
    cut = [r for r in before if r.get("pair")]
    assert cut, "the run was cut before its first pair"
    host = FakeHost(BusyHost(0.1).script)
    result = await run_plan(host, plan(30), Accel.KVM, tmp_path, resumed=read_run(tmp_path))
    (cell,) = result.cells
    assert cell.verdict is Verdict.CLEAN, cell.why
    assert cell.counts.pairing.counts.pairs == 30
    after = [r for r in journal_dicts(result.journal) if r.get("pair")]
    assert after[: len(cut)] == cut
    for role in ("host", "sham"):
        numbers = [r["pair"] for r in after if r["role"] == role]
        assert len(set(numbers)) == len(numbers)


async def test_a_guest_that_freezes_beside_a_sham_has_frozen_after_its_loads(
    tmp_path: Path,
) -> None:
    """The third re-arm after a load is dropped: the guest is silent when it runs on."""

    def freeze(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        immediate(qemu, vcpu, number)
        if not qemu.config.control_tick:
            if len(host.started) == 3:  # the first tick is late, so that pairs begin
                vcpu.due_ns = vcpu.ran_ns + int(3.2 * qemu.period_ns)
            else:
                qemu.do_later(int(1.05 * qemu.period_ns), lambda: setattr(vcpu, "due_ns", None))

    host = FakeHost(Script(freeze))
    result = await run_plan(host, plan(4), Accel.KVM, tmp_path)
    (cell,) = result.cells
    assert {sham["outcome"] for sham in records(result.journal, "sham")} == {Outcome.REMAINING}
    lost = next(r for r in records(result.journal, "host") if r["outcome"] == Outcome.LOST)
    assert lost["why"].startswith(
        "ticks went on after its last load; later, waiting for a tick of the guest: no tick in"
    )
    assert lost["evidence"]
    assert cell.verdict is Verdict.ANOMALOUS, cell.why
