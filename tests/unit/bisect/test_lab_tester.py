"""Tests of kernels in a lab, as the engine sees them; builds and runs are stood in for."""

from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from orchestrator.bisect import lab_tester
from orchestrator.bisect import tester as tester_seam
from orchestrator.bisect.candidate import Candidate
from orchestrator.bisect.lab_tester import Commits, LabTester, Named
from orchestrator.bisect.pace import Pace
from orchestrator.bisect.tester import Cost, Same, Stage, Untestable
from orchestrator.errors import UnfitError
from orchestrator.lab.kernel.commit_build import CommitBuildError
from orchestrator.lab.kernel.repository import Repository, RepositoryError
from orchestrator.results.result import read_result
from tests.support.made_runs import TICK, make_run, other

EXPOSED = other(vendor="GenuineIntel", kvm_modules={"kvm_intel": {"enable_apicv": "Y"}},
                hypervisor=False)  # fmt: skip


@dataclass
class Bench:
    """Stands in for builds and labs."""

    tester: LabTester
    asked: list[str]
    booted: list[Path]
    kernels: dict[str, str | Exception]
    """The digest of each kernel, or what its build comes to."""


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    tester = LabTester(
        Commits(Path("/tree"), on="debian:x"), SimpleNamespace(origin="Bochs"), tmp_path
    )  # type: ignore[arg-type]  # its origin is all that is asked
    made = Bench(tester, [], [], {})

    def kernel(name: str, *, say: object) -> Any:
        made.asked.append(name)
        found = made.kernels[name.partition("@")[2].partition(",")[0]]
        if isinstance(found, Exception):
            raise found
        return SimpleNamespace(digest=found, title=f"6.1@{found}/", label="")

    async def run_lab(arms: Any, plan: Any, folder: Path, **more: Any) -> Any:
        made.booted.append(folder)
        assert plan.limits.stop_after == 1, "a loss is enough"
        given = {"facts": EXPOSED, "trials": plan.limits.trials, "rule_out": 0.9}
        return read_result(make_run(folder / "run", [TICK] * plan.limits.trials, **given))

    monkeypatch.setattr(lab_tester, "kernel", kernel)
    monkeypatch.setattr(lab_tester, "run_lab", run_lab)
    return made


def candidate(name: str) -> Candidate:
    return Candidate(name, commit=name)


async def test_a_kernel_is_booted_once_however_many_commits_have_it(bench: Bench) -> None:
    bench.kernels = {"a": "one", "b": "one", "c": "two"}
    first = await bench.tester.test(candidate("a"), 9)
    assert isinstance(first, tester_seam.Tested)
    assert (first.loads, first.losses, first.signature) == (9, 0, "one")
    assert bench.asked == ["git:/tree@a,on=debian:x"]
    same = await bench.tester.test(candidate("b"), 9)
    assert isinstance(same, Same)
    assert (same.signature, len(bench.booted)) == ("one", 1)
    assert isinstance(await bench.tester.test(candidate("c"), 5), tester_seam.Tested)
    # More loads of either are asked for by its name.
    assert isinstance(await bench.tester.test(candidate("b"), 5), tester_seam.Tested)
    assert isinstance(await bench.tester.test(candidate("a"), 5), tester_seam.Tested)
    assert len(set(bench.booted)) == 4
    assert bench.booted[0].name == "6.1@one_-1"


async def test_a_resumed_bisection_knows_what_was_tested(bench: Bench) -> None:
    bench.kernels = {"a": "one", "b": "one"}
    bench.tester.tested_before("a", "one")
    assert isinstance(await bench.tester.test(candidate("b"), 9), Same)
    assert isinstance(await bench.tester.test(candidate("a"), 9), tester_seam.Tested)


async def test_a_failed_build_is_no_result_and_a_missing_tool_no_candidates_fault(
    bench: Bench,
) -> None:
    bench.kernels = {"a": CommitBuildError("it does not build"), "b": UnfitError("no gcc")}
    found = await bench.tester.test(candidate("a"), 9)
    assert found == Untestable("it does not build", found.seconds, Stage.BUILD)
    with pytest.raises(UnfitError, match="no gcc"):
        await bench.tester.test(candidate("b"), 9)


async def test_what_does_not_exist_is_refused_before_anything_is_built(tmp_path: Path) -> None:
    tester = LabTester(Named(), SimpleNamespace(origin="Bochs"), tmp_path)  # type: ignore[arg-type]  # as above
    with pytest.raises(Exception, match="there is no folder /none"):
        await tester.check(Candidate("tree:/none"))
    with pytest.raises(RepositoryError, match="there is no folder"):
        Repository.at(tmp_path / "none")


def test_settings_tell_kernels_apart(bench: Bench, tmp_path: Path) -> None:
    (own := tmp_path / "config").write_text("CONFIG_KVM=m\n")
    minimal = Commits(Path("/tree"))
    assert minimal.settings != replace(minimal, config=own).settings
    assert minimal.name(candidate("a")) == "git:/tree@a"
    assert bench.tester.settings["emulator"] == "Bochs"
    assert bench.tester.needs(1000).disk_bytes > 400 << 20


def test_the_pace_is_that_of_the_tests_that_were_seen() -> None:
    pace = Pace(Cost(90.0, 1.5))
    assert pace.cost == Cost(90.0, 1.5)
    for _ in range(50):
        pace.add(30.0, 20, 30.0 + 20 * 4.0)
    assert pace.cost.start_s == pytest.approx(30, rel=0.05)
    assert pace.cost.load_s == pytest.approx(4, rel=0.05)
