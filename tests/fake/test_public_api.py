"""The public API on a fake host: verdicts, and states that are saved and loaded."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator import (
    Accel,
    Deadlines,
    GuestConfig,
    InfraError,
    InstanceConfig,
    Method,
    MethodMissingError,
    NeedsDiskError,
    NotOwnedError,
    Outcome,
    PlanError,
    Verdict,
    check,
    launch,
    load_state,
    read_result,
    read_run,
    run_plan,
    save_state,
)
from orchestrator.host.facts import HostFacts
from orchestrator.testing import FACTS, FakeHost, Script, immediate, lost, only_in_trials
from tests.support.cut_short_runs import cut_short
from tests.support.journal import journal_dicts

PERIOD_NS = 100_000_000


async def test_a_verdict_and_its_evidence(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    result = await check(FakeHost(Script(only_in_trials(lost))), trials=3, rule_out=0.7, out=out)
    assert result.verdict is Verdict.AFFECTED
    assert result.cells[0].counts.outcomes[Outcome.LOST] == 3
    assert result.cells[0].cell.accel is Accel.KVM
    assert read_result(out).verdict is Verdict.AFFECTED


async def test_an_interrupted_run_goes_on_by_public_names_alone(tmp_path: Path) -> None:
    host = FakeHost(Script(immediate))
    await cut_short(tmp_path, host.script, "trial", 3)
    state = read_run(tmp_path)
    result = await run_plan(host, state.plan, state.auto, tmp_path, resumed=state)
    assert result.verdict is Verdict.CLEAN
    assert [cell.counts.trials for cell in result.cells] == [4, 4]
    assert read_run(tmp_path).finished


async def test_settings_of_a_check() -> None:
    axes = {"method": ["hmp", "exec"], "period_ms": 100}
    result = await check(
        FakeHost(Script(immediate)), trials=3, rule_out=0.7, accel=Accel.TCG, axes=axes, seed=7
    )
    assert [(cell.cell.accel, cell.cell.method) for cell in result.cells] == [
        (Accel.TCG, Method.HMP), (Accel.TCG, Method.EXEC),
    ]  # fmt: skip
    assert result.seed == 7
    assert not result.journal.exists(), "without a folder of the user's, nothing stays"
    with pytest.raises(PlanError, match="colour"):
        await check(FakeHost(), axes={"colour": "blue"})


@pytest.mark.parametrize("method", [Method.HMP, Method.EXEC, Method.LOADVM, Method.INCOMING])
async def test_a_state_is_saved_and_loaded(method: Method) -> None:
    config = InstanceConfig(Accel.KVM, GuestConfig(period_ns=PERIOD_NS))
    async with launch(FakeHost(Script(immediate)), config) as instance:
        before = await instance.next_tick()
        assert before is not None
        await save_state(instance, "here", str(method))
        for generation in (1, 2):
            await load_state(instance, "here", method)
            assert instance.generation == generation
            saved = (await instance.guest_state()).ticks
            assert saved >= before.sequence
            await instance.cont()
            tick = await instance.next_tick()
            assert tick is not None
            assert tick.sequence == saved + 1
            assert await instance.next_tick(), "it goes on"


async def test_a_lost_tick_is_none() -> None:
    config = InstanceConfig(Accel.KVM, GuestConfig(period_ns=PERIOD_NS))
    async with launch(FakeHost(Script(lost)), config) as instance:
        await save_state(instance, "here")
        await load_state(instance, "here")
        await instance.cont()
        assert await instance.next_tick() is None


async def test_states_that_cannot_be_had() -> None:
    without_disk = InstanceConfig(Accel.KVM, GuestConfig(period_ns=PERIOD_NS), disk=False)
    async with launch(FakeHost(Script(immediate)), without_disk) as instance:
        with pytest.raises(NeedsDiskError, match="by hmp: the instance has no disk"):
            await save_state(instance, "here")
        with pytest.raises(MethodMissingError, match=r"came with 9\.0|came with 8\.2") as missing:
            await save_state(instance, "here", "mapped-ram")
        assert missing.value.need.instead is Method.EXEC
        await save_state(instance, "here", Method.EXEC)
        instance.owned = False
        with pytest.raises(NotOwnedError, match="saving or loading by exec"):
            await load_state(instance, "here", Method.EXEC)
        instance.owned = True


class Rereading(FakeHost):
    """A host whose facts are read anew each time: equal, but another object."""

    @property
    def facts(self) -> HostFacts:
        return replace(super().facts)


async def test_equal_facts_are_the_same_host(tmp_path: Path) -> None:
    for name, host in (("same", FakeHost(Script(immediate))), ("new", Rereading())):
        assert (host.facts is host.facts) == (name == "same")
        await check(host, trials=3, rule_out=0.7, seed=1, out=tmp_path / name)
    journals = [journal_dicts(tmp_path / name / "journal.jsonl") for name in ("same", "new")]
    kinds = [[(r["record"], r.get("facts") is None) for r in records] for records in journals]
    assert kinds[0] == kinds[1]
    assert ("host", True) in kinds[0], "the cell's host is the run's: its facts are not repeated"


async def test_deadlines_are_journalled_where_they_are_not_the_usual_ones(tmp_path: Path) -> None:
    for name, deadlines in (("usual", Deadlines()), ("raised", Deadlines(state_ns=90_000_000_000))):
        host = FakeHost(Script(immediate), deadlines=deadlines)
        await check(host, trials=3, rule_out=0.7, out=tmp_path / name)
        path = tmp_path / name / "journal.jsonl"
        hosts = [r for r in journal_dicts(path) if r["record"] == "host" and r["cell"]]
        assert [each["deadlines"]["state_ns"] for each in hosts] == [deadlines.state_ns]
        assert ("deadlines" in path.read_text()) == (name == "raised")


async def test_the_command_line_of_a_qemu_that_fails_is_journalled(tmp_path: Path) -> None:
    script = Script(immediate)
    script.on_command["query-cpus-fast"] = lambda qemu: [{}]
    result = await check(FakeHost(script), accel=Accel.TCG, trials=3, rule_out=0.7, out=tmp_path)
    assert result.failed
    assert "-machine" not in result.cells[0].why
    records = journal_dicts(tmp_path / "journal.jsonl")
    failures = [r for r in records if r["record"] == "failure"]
    assert failures
    assert all("-machine" in failure["argv"] for failure in failures)


async def test_a_host_without_a_qemu_is_refused_in_words() -> None:
    host = FakeHost(Script(immediate), replace(FACTS, qemu=None))
    result = await check(host, trials=3, rule_out=0.7)
    assert result.failed
    assert "open_host()" in result.cells[0].why
    with pytest.raises(InfraError, match="they do not say which QEMU the host has"):
        async with launch(host, InstanceConfig(Accel.KVM)) as instance:
            await save_state(instance, "here")
