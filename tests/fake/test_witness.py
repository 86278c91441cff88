"""A campaign that asks the direct test about its losses."""

from pathlib import Path

import pytest

from orchestrator.campaign.run import run_plan
from orchestrator.findings.series import DirectCounts, Series
from orchestrator.host.protocol import Host
from orchestrator.plan.load import build_plan
from orchestrator.results.result import read_result
from orchestrator.testing import FakeHost, immediate, lost
from orchestrator.testing.script import Behaviour, full_period
from orchestrator.verdict.run import CellResult
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel
from tests.support.fake_campaigns import only_ordinary
from tests.support.journal import journal_dicts

TRIALS = 4
MS = 1_000_000


def counts(losses: dict[int, int]) -> DirectCounts:
    series = tuple(Series(at, 50, count, 0, 0, 1.0) for at, count in losses.items())
    return DirectCounts(series, Series(0, 5, 5, 0, 0, 1.0))


async def campaign(
    tmp_path: Path, behaviour: Behaviour, answer: DirectCounts
) -> tuple[CellResult, list[Host]]:
    """Return the cell, and the hosts on which the direct test was run."""
    asked: list[Host] = []

    async def ask(host: Host) -> DirectCounts:
        asked.append(host)
        return answer

    plan = build_plan(
        {
            "seed": 1,
            "axes": {"accel": "kvm", "period_ms": 100},
            "limits": {"trials": TRIALS, "rule_out": 0.6},
        },
        "test",
    )
    host = FakeHost(only_ordinary(behaviour))
    (cell,) = (await run_plan(host, plan, Accel.KVM, tmp_path, ask=ask)).cells
    (read,) = read_result(tmp_path).cells
    assert (read.verdict, read.why) == (cell.verdict, cell.why)
    assert set(asked) <= {host}
    return cell, asked


@pytest.mark.parametrize(
    ("losses", "verdict", "words"),
    [
        ({0: 50, 1: 50, MS: 0}, Verdict.AFFECTED, "a second witness agrees: the direct test"),
        ({0: 50, 1: 0, MS: 0}, Verdict.ANOMALOUS, "as if the kernel never started them"),
    ],
)
async def test_the_direct_test_is_asked_once_about_losses(
    tmp_path: Path, losses: dict[int, int], verdict: Verdict, words: str
) -> None:
    cell, asked = await campaign(tmp_path, lost, counts(losses))
    assert len(asked) == 1
    assert cell.verdict is verdict
    assert words in cell.why
    (record,) = [each for each in journal_dicts(tmp_path / "journal.jsonl")
                 if each["record"] == "witness"]  # fmt: skip
    assert [series["lost"] for series in record["counts"]["series"]] == list(losses.values())


async def test_nobody_is_asked_where_nothing_is_lost(tmp_path: Path) -> None:
    cell, asked = await campaign(tmp_path, immediate, counts({0: 0}))
    assert (cell.verdict, asked) == (Verdict.CLEAN, [])


async def test_an_old_kernel_is_clean_and_named_for_its_narrow_race(tmp_path: Path) -> None:
    cell, asked = await campaign(tmp_path, full_period, counts({0: 0, 1: 50, MS: 0}))
    assert len(asked) == 1
    assert cell.verdict is Verdict.CLEAN
    assert "This kernel has the narrow race" in cell.why


async def test_a_run_without_a_direct_test_says_whom_to_ask(tmp_path: Path) -> None:
    plan = build_plan(
        {"axes": {"accel": "kvm", "period_ms": 100}, "limits": {"trials": TRIALS}}, "test"
    )
    host = FakeHost(only_ordinary(lost))
    (cell,) = (await run_plan(host, plan, Accel.KVM, tmp_path)).cells
    assert cell.verdict is Verdict.AFFECTED
    assert "expired or never started" in cell.why
    assert "`losttick probe` asks one" in cell.why
