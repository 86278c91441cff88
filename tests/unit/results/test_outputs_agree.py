"""All outputs, the verdict and the exit code say the same of a run that is no plain case."""

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.journal.file import JOURNAL
from orchestrator.results.exit_code import ExitCode, result_exit
from orchestrator.results.outputs.github import annotations
from orchestrator.results.outputs.output import OutputError, OutputOptions
from orchestrator.results.outputs.table import output
from orchestrator.results.report import Report, read_report
from orchestrator.verdict.verdict import Ended, Verdict
from tests.support.command_here import valid_junit
from tests.support.made_reports import arm, case, report
from tests.support.places import GOLDEN

Change = Callable[[dict[str, Any]], dict[str, Any] | None]


def lab_run(folder: Path, change: Change) -> Report:
    """Return a real lab run, of an untouched kernel and two of one edit, with changed records."""
    text = gzip.decompress((GOLDEN / "runs" / "lab" / "journal.jsonl.gz").read_bytes())
    records = filter(None, (change(json.loads(line)) for line in text.splitlines()))
    lines = [
        json.dumps({**record, "seq": number}, separators=(",", ":"))
        for number, record in enumerate(records, 1)
    ]
    (folder / JOURNAL).write_text("\n".join(lines) + "\n")
    return read_report(folder)


def as_observations(record: dict[str, Any]) -> dict[str, Any]:
    """Give the edited kernels an edit whose answer is not known."""
    if record["record"] == "lab" and record["lab"]["variant"] != "untouched":
        record["lab"] |= {"variant": "partial", "expected": None}
    return record


def results(*reports: Report) -> list[str]:
    """Return the result lines of KTAP, without the names and the reasons."""
    lines = output("ktap").render(reports, OutputOptions()).decode().splitlines()
    found = (re.match(r" *(ok|not ok) \d+ [^#]*(# [A-Z]+)?", line) for line in lines)
    return [f"{each[1]} {each[2] or ''}".strip() for each in found if each]


def kcidb(made: Report, **options: str) -> dict[str, Any]:
    written = output("kcidb").render([made], OutputOptions(**options))
    found: dict[str, Any] = json.loads(written)
    return found


def junit(*reports: Report) -> tuple[int, int, int]:
    """Return the numbers of test cases, failures and errors."""
    document = valid_junit(output("junit").render(reports, OutputOptions()).decode())
    return document.tests, document.failures, document.errors


def test_an_edited_kernel_without_a_known_answer_fails_nothing(tmp_path: Path) -> None:
    """The verdict of a lab run does not rest on it, so no output may be red for it."""
    made = lab_run(tmp_path, as_observations)
    assert Verdict.AFFECTED in {each.verdict for each in made.cases}
    assert made.verdict is Verdict.CLEAN
    assert result_exit(made.result.ends) is ExitCode.CLEAN
    assert results(made) == ["ok"] * 4
    assert junit(made) == (3, 0, 0)
    assert list(annotations([made])) == []
    found = kcidb(made)
    assert [each["status"] for each in found["tests"]] == ["PASS"] * 3
    assert found["incidents"] == []


@pytest.mark.parametrize(("failed", "line"), [(True, "not ok # ERROR"), (False, "ok # SKIP")])
def test_an_observation_that_was_not_made_is_told(failed: bool, line: str) -> None:
    verdict = Verdict.INCONCLUSIVE if failed else Verdict.SKIPPED
    partial = case(
        "b", verdict, ended=Ended(verdict, failed), lab=arm(variant="partial"), asked=False
    )
    assert results(report(partial))[0] == line


def test_edited_kernels_alone_fail_as_the_exit_code_does(tmp_path: Path) -> None:
    """The known bug of an edited kernel is no incident of the kernel that was edited."""
    made = lab_run(tmp_path, as_observations)
    edited = report(
        *(
            case(each.name, each.verdict, each.lost, lab=each.lab)
            for each in made.cases
            if each.lab and not each.lab.untouched
        ),
        command="lab run",
    )
    found = kcidb(edited)
    assert "FAIL" in {each["status"] for each in found["tests"]}
    assert found["incidents"] == []


def test_a_lab_arm_that_did_not_boot_has_no_machine(tmp_path: Path) -> None:
    """Neither its environment nor its build is that of the host on which losttick ran."""

    def without(record: dict[str, Any]) -> dict[str, Any] | None:
        here = "no-apicv" in str(record.get("cell")) and record["record"] != "lab"
        return None if here or record["record"] == "verdict" else record

    made = lab_run(tmp_path, without)
    assert made.facts is not None
    found = kcidb(made)
    (test,) = (each for each in found["tests"] if "no-apicv" in each["path"])
    (build,) = (each for each in found["builds"] if each["id"] == test["build_id"])
    assert "environment" not in test
    assert "status" not in build
    assert made.facts.kernel not in json.dumps([test["misc"], build])
    booted = [each for each in found["builds"] if each is not build]
    assert [each["status"] for each in booted] == ["PASS"] * 2


def test_the_build_of_edited_kernels_is_refused(tmp_path: Path) -> None:
    made = lab_run(tmp_path, lambda record: record)
    with pytest.raises(OutputError, match=r"edited kernels.*: 6\.1\.176-1/revert-fix, "):
        kcidb(made, kcidb_build="maestro:1")


@pytest.mark.parametrize(
    "cases", [(case("kvm/a", Verdict.CLEAN),), (case("kvm/a", Verdict.SKIPPED),), ()]
)
def test_a_run_that_was_cut_off_passes_nowhere(cases: tuple[Any, ...]) -> None:
    """Also if each of its cells came to an end."""
    whole, cut = report(*cases), report(*cases, interrupted="SIGTERM")
    assert results(whole)[-1] in ("ok", "ok # SKIP")
    assert results(cut)[-1] == "not ok # ERROR"
    assert junit(whole) == (len(cases), 0, 0)
    assert junit(cut) == (len(cases) + 1, 0, 1)
    said = "::warning title=losttick::the run has not ended: SIGTERM"
    assert said not in list(annotations([whole]))
    assert said in list(annotations([cut]))


def test_a_cut_off_run_whose_cells_say_so_is_told_once() -> None:
    cut = report(case("kvm/a", Verdict.INCONCLUSIVE), interrupted="SIGTERM")
    assert junit(cut) == (1, 0, 1)
    assert len(list(annotations([cut]))) == 1
