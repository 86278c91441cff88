"""Ways to save and load, on a host that is nothing but the protocol."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from orchestrator.clock import Deadlines
from orchestrator.findings.cause import Cause
from orchestrator.findings.outcome import Outcome
from orchestrator.findings.save import Save
from orchestrator.guest.config import GuestConfig
from orchestrator.host.errors import NotOwnedError, QemuStartError
from orchestrator.process.exit import ProcessExit
from orchestrator.qmp.errors import CommandFailedError, MonitorTimeoutError
from orchestrator.snapshot.exec import ExecSnapshots
from orchestrator.snapshot.method import CycleKind, Method
from orchestrator.snapshot.protocol import Snapshots
from orchestrator.snapshot.table import snapshots
from orchestrator.testing import FACTS, FakeHost, FakeQemu, FakeVcpu, Script, immediate, lost
from orchestrator.trial.aim import Saver
from orchestrator.trial.limits import Limits
from orchestrator.trial.load import Trial
from orchestrator.trial.pace import Paces
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel, InstanceConfig
from orchestrator.vm.instance import Instance
from orchestrator.vm.launch import launch
from tests.support.fake_campaigns import campaign, only_ordinary
from tests.support.journal import journal_dicts
from tests.support.new_processes import LOADER, NEW_PROCESS

PERIOD_NS = 100_000_000


@contextlib.asynccontextmanager
async def saved(
    host: FakeHost, method: Snapshots
) -> AsyncIterator[tuple[Instance, Save, Callable[[], Trial]]]:
    """Give an instance with a save, and a function that makes a trial of the save."""
    limits, paces = Limits(PERIOD_NS), Paces()
    guest = GuestConfig(period_ns=PERIOD_NS)
    async with launch(host, InstanceConfig(Accel.KVM, guest, disk=method.needs_disk)) as instance:
        save, _ = await Saver(instance, method, paces, limits).take("save", 0.5)
        yield instance, save, lambda: Trial(instance, method, save, paces, limits)


def commands(instance: Instance) -> list[object]:
    return [
        message["message"].get("execute")  # type: ignore[attr-defined]
        for message in instance.monitor.log()
        if message["way"] == "sent"
    ]


@pytest.mark.parametrize("name", NEW_PROCESS)
async def test_a_load_takes_a_new_qemu_and_nobody_looks_at_its_guest(name: Method) -> None:
    assert FACTS.qemu
    host, method = FakeHost(), snapshots(name, FACTS.qemu)
    async with saved(host, method) as (instance, save, trial):
        for number in (1, 2):
            result = await trial().run()
            assert result.outcome.ticked, result
            assert result.first_tick
            assert result.first_tick.periods == 0
            assert instance.generation == 1
            *ended, alive = host.started
            assert len(ended) == number
            assert all(qemu.ended for qemu in ended)
            assert alive is instance.process
            assert list(alive.argv)[-len(LOADER[name]) - 1 :] == ["-S", *LOADER[name]]
        # From the load to the second tick: nothing but `cont`.
        sent = commands(instance)
        loaded = {Method.LOADVM: "query-cpus-fast"}.get(name, "query-migrate")
        assert sent[sent.index(loaded) + 1 :] == ["cont"]
        # The guest goes on where it was saved, and can be saved again.
        again, _ = await Saver(instance, method, Paces(), Limits(PERIOD_NS)).take("again", 0.5)
        assert (save.generation, again.generation) == (0, 1)
        assert again.first.ticks > save.first.ticks


async def test_an_event_before_the_session_is_no_answer() -> None:
    """As of a migration that comes in while capabilities are negotiated."""
    assert FACTS.qemu

    def early(qemu: FakeQemu) -> None:
        qemu.monitor.announce_migration()

    host = FakeHost(Script(immediate, {"qmp_capabilities": early}))
    async with saved(host, snapshots(Method.INCOMING, FACTS.qemu)) as (_, _, trial):
        result = await trial().run()
        assert result.outcome.ticked, result
        assert len(host.started) == 2


@pytest.mark.parametrize("name", NEW_PROCESS)
async def test_a_loss_in_a_new_process_is_found(tmp_path: Path, name: Method) -> None:
    result, _ = await campaign(tmp_path, only_ordinary(lost), 2, method=name)
    (cell,) = result.cells
    assert cell.counts.causes == {Cause.LOST_INTERRUPT: 2}, cell.why
    assert cell.verdict is Verdict.AFFECTED
    assert all(control.seen for control in cell.counts.controls)
    loaders = [r for r in journal_dicts(result.journal) if r["record"] == "loader"]
    assert len(loaders) == 1
    assert "-S" in loaders[0]["argv"]


@pytest.mark.parametrize(
    ("cycle", "instances", "generations"),
    [(CycleKind.REPEAT, 1, [0]), (CycleKind.FRESH, 3, [0, 0, 0]), (CycleKind.CHAIN, 1, [0, 1, 2])],
)
async def test_what_is_saved_in_each_cycle(
    tmp_path: Path, cycle: CycleKind, instances: int, generations: list[int]
) -> None:
    result, host = await campaign(tmp_path, Script(immediate), 3, cycle=cycle)
    records = [r for r in journal_dicts(result.journal) if r.get("role") == "host"]
    saves = [r["generation"] for r in records if r["record"] == "save" and r["eligible"]]
    assert saves == generations
    assert sum(r["record"] == "instance" for r in records) == instances
    assert len(host.started) == instances + 3  # one to try the cell, two controls


async def test_a_bug_that_shows_only_at_the_second_load(tmp_path: Path) -> None:
    def on_load(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
        # It comes with a guest that has ticked since it was loaded.
        (lost if vcpu.mark else immediate)(qemu, vcpu, number)
        vcpu.mark = not qemu.config.control_tick

    found = {}
    for cycle in (CycleKind.FRESH, CycleKind.CHAIN):
        (tmp_path / cycle).mkdir()
        result, _ = await campaign(tmp_path / cycle, Script(on_load), 4, cycle=cycle)
        found[cycle] = result.cells[0].counts.outcomes[Outcome.LOST]
    assert found == {CycleKind.FRESH: 0, CycleKind.CHAIN: 2}


async def test_a_migration_that_fails_and_one_that_never_ends() -> None:
    script = Script(immediate)
    host, method = FakeHost(script, deadlines=Deadlines(state_ns=500_000_000)), ExecSnapshots()

    def fail(qemu: FakeQemu) -> object:
        qemu.monitor.migration = "failed"
        return {}

    async with saved(host, method) as (instance, _, _):
        script.on_command["migrate"] = lambda qemu: {} if qemu else None
        instance.process.monitor.migration = "active"  # type: ignore[attr-defined]
        with pytest.raises(MonitorTimeoutError, match=r"was not over in 0\.5 s"):
            await method.save(instance, "never")
        script.on_command = {"migrate": fail}
        with pytest.raises(CommandFailedError, match="the migration failed: the fake said so"):
            await method.save(instance, "fails")


@pytest.mark.parametrize(
    ("code", "outcome"), [(1, Outcome.UNKNOWN), (-9, Outcome.UNKNOWN), (-11, Outcome.CRASHED)]
)
async def test_a_qemu_that_ends_as_it_loads(code: int, outcome: Outcome) -> None:
    script = Script(immediate)
    host, method = FakeHost(script), ExecSnapshots()
    async with saved(host, method) as (_, _, trial):

        def end(qemu: FakeQemu) -> object:
            qemu.end(ProcessExit(code, "error while loading state"))
            return None

        for command in ("query-cpus-fast", "migrate-incoming"):
            script.on_command = {command: end}
            result = await trial().run()
            assert result.outcome is outcome, result
            assert "error while loading state" in result.why


async def test_a_qemu_that_does_not_start_again() -> None:
    host, method = FakeHost(), ExecSnapshots()
    async with saved(host, method) as (_, _, trial):
        host.refuse = "no more processes"
        result = await trial().run()
        assert result.outcome is Outcome.UNKNOWN
        assert "no more processes" in result.why
    assert all(qemu.ended for qemu in host.started)


async def test_a_cancelled_load_leaves_no_qemu() -> None:
    script = Script(immediate)
    host, method = FakeHost(script), ExecSnapshots()
    async with saved(host, method) as (_, _, trial):
        script.on_command["query-cpus-fast"] = lambda qemu: asyncio.sleep(100)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await trial().run()
    assert len(host.started) == 2
    assert all(qemu.ended for qemu in host.started)


async def test_a_wrong_answer_at_the_start_keeps_the_command_line() -> None:
    script = Script(immediate)
    host, method = FakeHost(script), ExecSnapshots()
    async with saved(host, method) as (instance, _, _):
        script.on_command["query-cpus-fast"] = lambda qemu: [{}]
        with pytest.raises(QemuStartError, match="thread-id: Field required") as failed:
            await method.load(instance, "save")
        assert failed.value.argv[-4:-2] == ("-incoming", "defer")
        assert failed.value.end is None, "losttick itself ended it"
        assert "-incoming" not in str(failed.value)


async def test_a_qemu_of_somebody_else_is_neither_replaced_nor_ended() -> None:
    host, method = FakeHost(), ExecSnapshots()
    async with saved(host, method) as (instance, _, _):
        instance.owned = False
        with pytest.raises(NotOwnedError, match="a load into a new QEMU: this QEMU was running"):
            await method.load(instance, "save")
        with pytest.raises(NotOwnedError, match="ending QEMU"):
            await instance.kill()
        assert len(host.started) == 1
        assert await instance.run_state() == "running"
        instance.owned = True


@pytest.mark.parametrize("method", [Method.HMP, Method.EXEC])
async def test_pauses_around_a_load(tmp_path: Path, method: Method) -> None:
    """The guest stands still in both; the load comes between them."""
    stopped: dict[str, list[int]] = {"loaded": [], "continued": []}
    began: list[int] = []

    def begin(qemu: FakeQemu) -> None:
        began.append(qemu.clock.now_ns())

    def load(qemu: FakeQemu) -> None:
        if "-incoming" not in qemu.argv:
            stopped["loaded"].append(qemu.clock.now_ns() - began[-1])
        began.append(qemu.clock.now_ns())

    def cont(qemu: FakeQemu) -> None:
        if qemu.loads:
            stopped["continued"].append(qemu.clock.now_ns() - began[-1])

    script = Script(
        immediate, {"stop": begin, "loadvm": load, "migrate-incoming": load, "cont": cont}
    )
    result, _ = await campaign(
        tmp_path, script, 5, method=method, pause_before_load="3 periods", pause_before_cont="2 s",
    )  # fmt: skip
    assert result.verdict is Verdict.CLEAN, result.cells[0].why
    loaded, continued = stopped["loaded"], stopped["continued"]
    assert all(3 * PERIOD_NS <= ns < 4 * PERIOD_NS for ns in loaded[1:])
    assert len(loaded) == (7 if method is Method.HMP else 0)
    at_loads = [ns for ns in continued if ns >= 2_000_000_000]
    assert len(at_loads) == 7  # two controls, five trials
