"""KCIDB, checked by the validator of those who take it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import kcidb_io
import pytest

from orchestrator.bugs.catalogue import APICV_BUG, STALE_TPR
from orchestrator.bugs.likeness import Likeness
from orchestrator.results.outputs.kcidb import path
from orchestrator.results.outputs.output import OutputError, OutputOptions
from orchestrator.results.outputs.table import output
from orchestrator.results.report import Report
from orchestrator.verdict.verdict import Verdict
from tests.support.made_reports import EXPOSED, HOSTILE, HOSTILE_NAME, arm, case, every_kind, report

COMMIT = "9cfec6d097c607e36199cf0cfbb8cf5acbd8e9b2"


def kcidb(*reports: Report, **options: Any) -> dict[str, Any]:
    """Return a submission that the validator accepts, and that is whole: nothing is missing."""
    written = output("kcidb").render(reports, OutputOptions(**options))
    found: dict[str, Any] = json.loads(written)
    kcidb_io.schema.LATEST.validate(found)
    assert found["version"] == {
        "major": kcidb_io.schema.LATEST.major, "minor": kcidb_io.schema.LATEST.minor
    }  # fmt: skip
    ids = {kind: [each["id"] for each in found[kind]] for kind in found if kind != "version"}
    assert all(len(set(each)) == len(each) for each in ids.values())
    assert {each["checkout_id"] for each in found["builds"]} == set(ids["checkouts"])
    theirs = {options["kcidb_build"]} if "kcidb_build" in options else set(ids["builds"])
    assert {each["build_id"] for each in found["tests"]} == theirs
    assert {each["issue_id"] for each in found["incidents"]} == set(ids["issues"])
    assert {each["test_id"] for each in found["incidents"]} <= set(ids["tests"])
    return found


def test_each_verdict_has_its_status() -> None:
    found = kcidb(every_kind())
    assert {each["path"]: each["status"] for each in found["tests"]} == {
        "losttick.run.kvm.clean": "PASS",
        "losttick.run.kvm.affected": "FAIL",
        "losttick.run.kvm.anomalous": "FAIL",
        "losttick.run.kvm.inconclusive": "ERROR",
        "losttick.run.kvm.failed": "MISS",
        "losttick.run.kvm.skipped": "SKIP",
    }


def test_only_the_known_bug_is_an_incident() -> None:
    found = kcidb(every_kind())
    (affected,) = (each for each in found["tests"] if each["path"].endswith("affected"))
    (incident,) = found["incidents"]
    (issue,) = found["issues"]
    assert incident["test_id"] == affected["id"]
    assert APICV_BUG.fixed_by in issue["comment"]
    assert issue["id"] == "losttick:apicv-bug"
    assert issue["culprit"] == {"code": True, "tool": False, "harness": False}


def test_a_test_has_its_numbers_and_its_raw_name() -> None:
    cell = "kvm/one-shot/xapic/hmp/auto/25loads/phase=0.2-0.8"
    (test,) = kcidb(report(case(cell, Verdict.AFFECTED, 5)))["tests"]
    assert test["path"] == "losttick.run.kvm.one-shot.xapic.hmp.auto.25loads.phase_0_2-0_8"
    assert test["misc"]["cell"] == cell
    assert test["number"] == {"value": 0.25, "unit": "lost/load", "prefix": "metric"}
    assert (test["misc"]["loads"], test["misc"]["lost"]) == (20, 5)
    assert test["start_time"] == "2026-11-26T01:02:03.004Z"
    assert test["duration"] == pytest.approx(2.496)
    assert "86.1" not in test["log_excerpt"]
    assert "loads: 20, lost: 5" in test["log_excerpt"]


def test_a_test_without_loads_has_no_number() -> None:
    (test,) = kcidb(report(case("kvm/none", Verdict.SKIPPED)))["tests"]
    assert "number" not in test


def test_the_same_run_has_the_same_identifiers() -> None:
    """They stay when an interrupted run has gone on, and differ for each other run."""
    cut = kcidb(report(case("kvm/a", Verdict.INCONCLUSIVE), interrupted="SIGTERM"))
    whole = kcidb(report(case("kvm/a", Verdict.AFFECTED, 20)))
    other = kcidb(report(case("kvm/a", Verdict.AFFECTED, 20), identity="1" * 64))
    (a,), (b,), (c,) = (each["tests"] for each in (cut, whole, other))
    assert a["id"] == b["id"] != c["id"]
    assert cut["builds"] == whole["builds"] == other["builds"]
    assert cut["checkouts"] == whole["checkouts"]


def test_two_runs_share_kernel_and_issue() -> None:
    first = report(case("kvm/a", Verdict.AFFECTED, 20))
    second = report(case("kvm/a", Verdict.AFFECTED, 20), identity="1" * 64)
    found = kcidb(first, second)
    counts = {kind: len(found[kind]) for kind in found if kind != "version"}
    assert counts == {"checkouts": 1, "builds": 1, "tests": 2, "issues": 1, "incidents": 2}


def test_an_edited_kernel_is_another_build_of_the_same_checkout() -> None:
    stock = case("6.1/untouched", Verdict.CLEAN, lab=arm())
    lost = case(
        "6.1/revert-fix", Verdict.AFFECTED, 20, expected=Verdict.AFFECTED,
        lab=arm(Verdict.AFFECTED, variant="revert-fix", edits=("revert-fix",)),
    )  # fmt: skip
    found = kcidb(report(stock, lost, command="lab run", verdict=Verdict.CLEAN))
    assert [each["git_commit_name"] for each in found["checkouts"]] == ["6.1.176-1"]
    assert len({each["build_id"] for each in found["tests"]}) == 2
    assert {each["status"] for each in found["tests"]} == {"PASS"}
    assert not found["incidents"]  # the edit brought the bug, and not the kernel


def test_the_commit_of_the_kernel_is_named_where_it_is_known() -> None:
    made = report(case("kvm/a", Verdict.CLEAN))
    assert "git_commit_hash" not in kcidb(made)["checkouts"][0]
    (checkout,) = kcidb(made, commit=COMMIT, kcidb_origin="night_shift")["checkouts"]
    assert checkout["git_commit_hash"] == COMMIT
    assert checkout["origin"] == "night_shift"
    assert checkout["id"].startswith("night_shift:")


def test_a_build_that_was_submitted_before_is_only_named() -> None:
    build = "maestro:67d409f9f378f0c5986dc7df"
    found = kcidb(report(case("kvm/a", Verdict.AFFECTED, 20)), kcidb_build=build)
    assert (found["checkouts"], found["builds"]) == ([], [])
    assert len(found["incidents"]) == 1


@pytest.mark.parametrize("build", ["67d409f9", "Maestro:1", "maestro:", "maestro:a b", ":1"])
def test_a_build_that_kcidb_can_not_have_is_refused(build: str) -> None:
    with pytest.raises(OutputError, match="not the identifier of a build"):
        kcidb(report(case("kvm/a", Verdict.CLEAN)), kcidb_build=build)


@pytest.mark.parametrize("origin", ["Night", "a-b", "", "a:b", "ä"])
def test_an_origin_that_kcidb_refuses_is_refused(origin: str) -> None:
    with pytest.raises(OutputError, match="name of a CI system"):
        kcidb(report(case("kvm/a", Verdict.CLEAN)), kcidb_origin=origin)


@pytest.mark.parametrize("commit", ["9cfec6d097c6", COMMIT.upper(), COMMIT + "0", "HEAD"])
def test_a_commit_that_is_not_whole_is_refused(commit: str) -> None:
    with pytest.raises(OutputError, match="not the whole hash"):
        kcidb(report(case("kvm/a", Verdict.CLEAN)), commit=commit)


def test_one_commit_for_several_kernels_is_refused() -> None:
    several = report(
        case("a", Verdict.CLEAN, lab=arm()), case("b", Verdict.CLEAN, lab=arm(version="6.12.1-1"))
    )
    for one in ({"commit": COMMIT}, {"kcidb_build": "maestro:1"}):
        with pytest.raises(OutputError, match=r"6\.1\.176-1, 6\.12\.1-1"):
            kcidb(several, **one)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_hostile_text_is_accepted_as_text(verdict: Verdict) -> None:
    texts = {"why": HOSTILE, "meaning": HOSTILE, "evidence": (HOSTILE * 100,)}
    hostile = report(
        case(HOSTILE_NAME, verdict, **texts, outcomes={HOSTILE: 1}, causes={HOSTILE: 1}),
        meaning=HOSTILE, went_down=HOSTILE, interrupted=HOSTILE, losttick=HOSTILE,
    )  # fmt: skip
    found = kcidb(hostile)
    assert all(text.replace("\n", "").isprintable() for text in texts_of(found))
    assert "null" not in json.dumps(found)


def test_a_long_excerpt_is_cut() -> None:
    long = case("kvm/a", Verdict.CLEAN, meaning="é" * 8000, evidence=("é" * 8000,) * 5)
    (test,) = kcidb(report(long))["tests"]
    assert 16_380 <= len(test["log_excerpt"].encode()) <= 16_384


def test_a_submission_of_many_losses_stays_small() -> None:
    folders = tuple(f"evidence/{number:04d}-host-lost" for number in range(1000))
    cells = [case(f"kvm/{n}", Verdict.AFFECTED, 20, evidence=folders) for n in range(500)]
    found = kcidb(report(*cells))
    assert found["tests"][0]["misc"]["evidence_folders"] == 1000
    assert len(json.dumps(found)) < 4_000_000


def texts_of(value: Any) -> Iterator[str]:
    """Yield each text in plain data, with the keys."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield key
            yield from texts_of(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts_of(each)
    elif isinstance(value, str):
        yield value


def test_paths_have_only_what_kcidb_allows() -> None:
    allowed = re.compile(r"([a-zA-Z0-9_-]+(\.[a-zA-Z0-9_-]+)*)?")
    for name in (HOSTILE, HOSTILE_NAME, "", "/", "a//b", "..", "qemu=/usr/bin/x", "ü"):
        assert allowed.fullmatch(path("lab run", name)), name


@pytest.mark.parametrize(
    "at", ["\0<b>", "yesterday", "2026-11-26", "2026-11-26T01:02:03", "20261126T010203Z", HOSTILE]
)
def test_a_start_that_is_no_time_is_left_out(at: str) -> None:
    (test,) = kcidb(report(case("kvm/a", Verdict.CLEAN, began_at=at)))["tests"]
    assert "start_time" not in test


@pytest.mark.parametrize("at", ["2026-11-26T01:02:03.004Z", "2026-11-26T01:02:03+02:00"])
def test_a_start_that_is_a_time_is_submitted(at: str) -> None:
    (test,) = kcidb(report(case("kvm/a", Verdict.CLEAN, began_at=at)))["tests"]
    assert test["start_time"] == at


def test_what_trials_look_like_is_no_known_bug() -> None:
    """Only the bug that makes a host `affected` was found; the others are likenesses."""
    likeness = Likeness(STALE_TPR, 3, EXPOSED)
    odd, found = (
        case("kvm/odd", Verdict.ANOMALOUS, 3, known_bugs=(likeness,)),
        case(
            "kvm/bug", Verdict.AFFECTED, 20, known_bugs=(Likeness(APICV_BUG, 20, EXPOSED), likeness)
        ),
    )
    tests = kcidb(report(odd, found))["tests"]
    assert [each["misc"]["known_bugs"] for each in tests] == [[], [APICV_BUG.name]]
    assert [each["misc"]["looks_like"] for each in tests] == [[STALE_TPR.name]] * 2
    for each, names in zip(tests, ([], [APICV_BUG.name]), strict=True):
        assert re.findall("known bug: (.*?), ", each["log_excerpt"]) == names
        assert f"looks like: {STALE_TPR.name}, 3 loads" in each["log_excerpt"]
