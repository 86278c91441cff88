"""A QEMU whose answers have another form than QEMU's is trouble of one instance, and of no more."""

import asyncio
import itertools
from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.plan.load import build_plan
from orchestrator.qmp.answers import StatusInfo, understood
from orchestrator.qmp.errors import AnswerError, MonitorError
from orchestrator.testing import FakeHost, FakeQemu, FakeVcpu, Script, immediate, only_in_trials
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel

#: Answers that are JSON and no answer to anything.
NONSENSE: list[object] = [{}, [], 5, True, {"status": 5}, [{}]]

#: Commands whose answer is read, and a method that gives them.
READ = {
    "query-status": "hmp",
    "query-cpus-fast": "hmp",
    "qom-get": "hmp",
    "query-jobs": "jobs",
    "query-migrate": "exec",
    "info lapic": "hmp",
    "info registers": "hmp",
    "xp": "hmp",
    "savevm": "hmp",
    "loadvm": "hmp",
}

#: Each command with each answer. The usual run has three answers of each, in turn.
PAIRS = [
    pytest.param(command, answer, marks=[pytest.mark.thorough] if (answered - asked) % 2 else [])
    for (asked, command), (answered, answer) in itertools.product(
        enumerate(READ), enumerate(NONSENSE)
    )
]

#: Further answers to some of them.
ODD: list[tuple[str, object]] = [
    ("query-jobs", [{"id": 7}]),
    ("query-jobs", [{"id": "losttick-1", "error": 5}]),
    ("query-cpus-fast", [{"thread-id": "x", "qom-path": "/"}]),
    ("query-cpus-fast", [{"thread-id": 0, "qom-path": "/"}]),
    ("query-cpus-fast", [{"thread-id": 2**70, "qom-path": "/"}]),
    ("query-cpus-fast", [{"thread-id": 4242, "qom-path": []}]),
    ("query-stats", 5),
    ("qom-get", -1),
]


def lost(qemu: FakeQemu, vcpu: FakeVcpu, number: int) -> None:
    vcpu.due_ns = None


@pytest.mark.parametrize(("command", "answer"), [*PAIRS, *ODD], ids=repr)
async def test_a_run_comes_to_its_end_whatever_an_answer_is(
    command: str, answer: object, tmp_path: Path
) -> None:
    """Nothing but the answer is wrong: no load is blamed for it."""
    script = Script(only_in_trials(immediate), {command: lambda qemu: answer})
    plan = build_plan(
        {
            "axes": {"period_ms": 100, "method": READ.get(command, "hmp")},
            "limits": {"trials": 2, "rule_out": 0.9},
        },
        "test",
    )
    async with asyncio.timeout(7200):
        result = await run_plan(FakeHost(script), plan, Accel.KVM, tmp_path)
    assert result.verdict in (Verdict.CLEAN, Verdict.INCONCLUSIVE, Verdict.SKIPPED)


@pytest.mark.parametrize("answer", NONSENSE, ids=repr)
async def test_a_silence_is_no_loss_if_the_run_state_is_nonsense(
    answer: object, tmp_path: Path
) -> None:
    """A QEMU that does not say that the guest runs has not shown a loss."""
    script = Script(only_in_trials(lost), {"query-status": lambda qemu: answer})
    plan = build_plan(
        {"axes": {"period_ms": 100}, "limits": {"trials": 2, "rule_out": 0.9}, "controls": 0},
        "test",
    )
    async with asyncio.timeout(7200):
        (cell,) = (await run_plan(FakeHost(script), plan, Accel.KVM, tmp_path)).cells
    assert cell.verdict is Verdict.INCONCLUSIVE, cell.why
    assert set(cell.counts.outcomes) == {"unknown"}


@pytest.mark.parametrize("answer", [None, *NONSENSE], ids=repr)
def test_nonsense_is_an_error_of_the_monitor_that_shows_it(answer: object) -> None:
    with pytest.raises(AnswerError, match="QMP 'query-status': not understood: ") as caught:
        understood("query-status", StatusInfo, answer)
    assert isinstance(caught.value, MonitorError)
    assert "QEMU sent " in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_long_answer_is_not_shown_whole() -> None:
    with pytest.raises(AnswerError) as caught:
        understood("query-status", StatusInfo, {"status": ["x" * 10**6]})
    assert len(str(caught.value)) < 400
