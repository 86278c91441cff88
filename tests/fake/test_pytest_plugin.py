"""The pytest plugin on fake hosts: every verdict, artefacts, properties, and misuse."""

import re
from pathlib import Path

import pytest
from junitparser import TestSuite

from orchestrator.verdict.verdict import Verdict
from tests.support.command_here import valid_junit
from tests.support.journal import journal_dicts
from tests.support.plugin_projects import FAKE_HOSTS, project

TESTS = """
import pytest

from orchestrator.pytest_plugin import AnomalousError, InconclusiveError

FEW = dict(trials=3, rule_out=0.7, axes={"period_ms": 100})


def test_clean(assert_ticks_survive):
    assert str(assert_ticks_survive(**FEW, seed=7).verdict) == "clean"
    assert assert_ticks_survive(**FEW).seed != 7


async def test_clean_awaited(assert_ticks_survive_async):
    assert str((await assert_ticks_survive_async(**FEW)).verdict) == "clean"


@pytest.mark.losttick(plan="ticks.toml")
def test_clean_by_the_plan_of_the_marker(assert_ticks_survive, request):
    result = assert_ticks_survive()
    assert [cell.counts.trials for cell in result.cells] == [4, 4]


def test_affected(assert_ticks_survive):
    assert_ticks_survive(**FEW)


async def test_affected_awaited(assert_ticks_survive_async):
    await assert_ticks_survive_async(**FEW)


def test_anomalous(assert_ticks_survive):
    with pytest.raises(AnomalousError, match="anomalous: 3 lost in 3 loads") as failed:
        assert_ticks_survive(**FEW)
    assert failed.value.result.cells[0].counts.trials == 3
    raise failed.value


def test_inconclusive(assert_ticks_survive):
    with pytest.raises(InconclusiveError) as failed:
        assert_ticks_survive(trials=3, axes={"period_ms": 100})
    raise failed.value


def test_skipped(assert_ticks_survive):
    assert_ticks_survive(**{**FEW, "axes": {"period_ms": 100, "method": ["hmp", "mapped-ram"]}})


async def test_not_awaited(assert_ticks_survive_async):
    assert_ticks_survive_async(**FEW)


async def test_in_a_coroutine(assert_ticks_survive):
    assert_ticks_survive(**FEW)


def test_bad_setting(assert_ticks_survive):
    assert_ticks_survive(axes={"colour": "blue"})


def test_methods(losttick_methods):
    assert "jobs" in losttick_methods
    assert "mapped-ram" not in losttick_methods
"""

PLAN = """
[axes]
period_ms = [50, 100]
[limits]
trials = 4
rule_out = 0.7
"""

FAILED = ("affected", "affected_awaited", "anomalous", "inconclusive")


@pytest.fixture
def verdicts(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A project whose tests come to every verdict."""
    project(pytester, monkeypatch, conftest=FAKE_HOSTS, test_ticks=TESTS)
    (pytester.path / "ticks.toml").write_text(PLAN)
    return pytester


def check_verdicts(done: pytest.RunResult, place: Path) -> None:
    """Check what a run of the project has printed, kept and written to its JUnit file."""
    done.assert_outcomes(passed=5, failed=6, skipped=1, errors=1)
    said = done.stdout.str()
    for name in ("affected", "anomalous", "inconclusive"):
        assert re.search(rf"E +orchestrator\.\S+Error: {name}: \w.*\.$", said, re.M), name
    assert re.search(r"E +\S+: affected; 3 of 3 loads lost; loss rate 100", said)
    assert "was called and not awaited, so nothing was tested" in said
    assert "use `await assert_ticks_survive_async(...)`" in said
    assert "axes.colour: there is no such setting" in said
    assert re.search(r"SKIPPED.* 1 of 2 cells was not tested.*mapped-ram", said)
    for line in re.findall(r"E +evidence: (\S+)", said):
        assert list(Path(line).iterdir()), line

    kept = {path.name: path for path in (place / "kept").iterdir()}
    for name in FAILED:
        (folder,) = (kept.pop(key) for key in list(kept) if f"-test_{name}-" in key)
        # By `read_result`, scipy would be imported, which pytester undoes after the test.
        told = journal_dicts(folder / "run-1" / "journal.jsonl")[-1]
        assert told["verdict"] == name.removesuffix("_awaited")
        assert re.search(rf"losttick artefacts -*\n{folder}/run-1", said)
    assert not kept, "those of other tests are removed"

    suite = next(iter(valid_junit((place / "junit.xml").read_text())))
    assert isinstance(suite, TestSuite)
    found = {each.name: each.value for each in suite.properties()}
    assert len(found) == len(list(suite.properties())), "each name once"
    assert found["losttick.kernel"] == "6.6.1-fake"
    cells = {name.split("::")[1]: text for name, text in found.items() if "::" in name}
    assert {name.split()[0] for name in cells} == {
        *(f"test_{name}" for name in FAILED), "test_clean", "test_clean_awaited",
        "test_clean_by_the_plan_of_the_marker", "test_skipped",
    }  # fmt: skip
    assert sum(name.startswith("test_clean_by") for name in cells) == 2
    assert any(name.startswith("test_clean (2)") for name in cells)
    for name, text in cells.items():
        if "skipped" not in name:
            verdict = re.sub(r"_awaited|test_|_by_the.*", "", name.split()[0])
            assert text.startswith(f"{Verdict(verdict)}; ")


def test_every_verdict(verdicts: pytest.Pytester) -> None:
    args = ("-ra", "--junitxml=junit.xml", "--losttick-artefacts=kept")
    done = verdicts.runpytest_subprocess(*args)
    check_verdicts(done, verdicts.path)
    assert "Captured losttick call" in done.stdout.str()


@pytest.mark.thorough
def test_every_verdict_by_workers(verdicts: pytest.Pytester) -> None:
    args = ("-ra", "--junitxml=junit.xml", "--losttick-artefacts=kept", "-n", "2")
    check_verdicts(verdicts.runpytest_subprocess(*args), verdicts.path)


MISUSE = """
import pytest


@pytest.mark.losttick("quick")
def test_positional(): ...


@pytest.mark.losttick(colour="blue")
def test_unknown(): ...


@pytest.mark.losttick(plan="nightli")
def test_no_plan(): ...


@pytest.mark.losttick(plan=3)
def test_number(): ...


@pytest.mark.losttick(require=["kvm", "apic"])
def test_no_requirement(): ...


@pytest.mark.losttick(require=7)
def test_required_number(): ...


@pytest.mark.losttick(plan="quick", require="kvm")
def test_well_marked(): ...
"""


def test_a_misused_marker_is_a_usage_error_that_names_the_test(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(pytester, monkeypatch, test_marks=MISUSE)
    done = pytester.runpytest_subprocess("--strict-markers")
    assert done.ret is pytest.ExitCode.USAGE_ERROR
    faults = {
        "positional": "it does not take 'quick'", "unknown": "it does not take colour",
        "no_plan": "there is no plan 'nightli'", "number": "plan=3 is no name and no path",
        "no_requirement": "nothing called 'apic' can be required, only kvm, apicv",
        "required_number": "require=7 is no name and no list",
    }  # fmt: skip
    for name, fault in faults.items():
        done.stderr.fnmatch_lines(f"*test_marks.py::test_{name}: the marker losttick: {fault}*")
    assert "well_marked" not in done.stderr.str()


@pytest.mark.thorough
def test_workers_name_the_test_of_a_misused_marker(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(pytester, monkeypatch, test_marks=MISUSE.replace('require="kvm"', ""))
    done = pytester.runpytest_subprocess("-n", "2")
    done.assert_outcomes(errors=6, passed=1)
    assert "INTERNALERROR" not in done.stdout.str()
    assert "the marker losttick: plan=3 is no name and no path" in done.stdout.str()
