"""`losttick report`: what every output is written from, and where it goes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.results.outputs.output import OutputOptions
from orchestrator.results.outputs.table import OUTPUTS, output
from orchestrator.results.report import read_report
from orchestrator.results.status import Status
from orchestrator.testing import Script, immediate, lost
from tests.support.command_here import report, valid_junit
from tests.support.cut_short_runs import cut_short, go_on
from tests.support.golden_reports import laid


@pytest.fixture
async def affected(tmp_path: Path) -> Path:
    (out := tmp_path / "affected").mkdir()
    await go_on(out, Script(lost))
    return out


async def test_a_run_is_a_suite_and_a_cell_is_a_case(affected: Path) -> None:
    done = report(affected, "--junit", "-")
    assert (done.returncode, done.stderr) == (1, "")
    (suite,) = valid_junit(done.stdout)
    found = read_report(affected)
    assert (suite.name, suite.tests, suite.failures) == ("losttick.run", 2, 2)
    assert {p.name: p.value for p in suite.properties()}["kernel"] == "6.6.1-fake"
    for case, told in zip(suite, found.cases, strict=True):
        assert (case.classname, case.name) == ("losttick.run", told.name)
        (failure,) = case.result
        assert failure.type == "affected"
        for trial in told.kept:
            assert trial.evidence
            assert (affected / trial.evidence / "diagnosis.txt").is_file()
            assert str(affected / trial.evidence) in failure.text
            assert trial.diagnoses[0].sentence in failure.text
        assert f"lost: {told.lost}\n" in case.system_out


async def test_times_and_evidence_of_a_cell_come_from_its_records(affected: Path) -> None:
    found = read_report(affected)
    for case in found.cases:
        assert case.status is Status.KNOWN_BUG
        assert len(case.evidence) == case.lost > 0
        assert found.began_at <= case.began_at < case.ended_at <= found.ended_at
        assert case.seconds is not None


async def test_a_run_that_was_cut_short_is_reported_as_one(tmp_path: Path) -> None:
    await cut_short(tmp_path, Script(immediate), "trial", 3)
    done = report(tmp_path, "--junit", "-")
    assert done.returncode == 6
    (suite,) = valid_junit(done.stdout)
    assert {p.name: p.value for p in suite.properties()}["interrupted"] == "a signal stopped it"
    assert [case.result[0].type for case in suite] == ["inconclusive"] * 2
    assert all(case.ended_at == "" for case in read_report(tmp_path).cases)


async def test_the_same_cell_of_two_runs_is_two_cases(affected: Path, tmp_path: Path) -> None:
    (other := tmp_path / "other").mkdir()
    await go_on(other, Script(immediate))
    document = valid_junit(report(affected, other, "--junit", "-").stdout)
    names = [(case.classname, case.name) for suite in document for case in suite]
    assert len(set(names)) == 4
    assert {suite.name for suite in document} == {"losttick.run.affected", "losttick.run.other"}


async def test_a_case_has_properties_only_if_they_are_asked_for(affected: Path) -> None:
    plain = report(affected, "--junit", "-").stdout
    assert all(not list(case.properties()) for suite in valid_junit(plain) for case in suite)
    more = report(affected, "--junit", "-", "--junit-properties").stdout
    assert more.count("<properties>") == 3


async def test_a_file_is_replaced_as_a_whole(affected: Path, tmp_path: Path) -> None:
    target = tmp_path / "junit.xml"
    target.write_text("old")
    target.chmod(0o640)
    before = target.stat().st_ino
    done = report(affected, "--junit", target)
    assert (done.returncode, done.stdout) == (1, f"junit: {target}\n")
    assert target.stat().st_ino != before
    assert target.stat().st_mode & 0o777 == 0o640
    assert report(affected, "--junit", "-").stdout == target.read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"affected", "junit.xml"}


@pytest.mark.parametrize(
    ("args", "words"),
    [
        ((), "say in which form, with one of --junit"),
        (("--junit", "no/such/file"), "there is no folder no/such. Make it first"),
        (("--junit", "/dev/no-such"), "/dev/no-such can't be written to"),
        (("--junit", "."), "it is a folder. Name a file in it"),
    ],
)
def test_what_can_t_be_written_is_refused_before_anything_is_read(
    args: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    done = report(tmp_path / "missing", *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr


KINDS = [kind for kind, entry in OUTPUTS.items() if entry.file]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda data: data[: len(data) // 2].rpartition(b"\n")[0][:-20] + b"\n{}\n", "line "),
        (lambda data: data.replace(b'"format":1', b'"format":99', 1), "reads formats up to 1"),
        (lambda _: b"[1, 2]\n", "line 1: it does not begin the journal of a losttick run"),
        (lambda _: b"\x89PNG\r\n\x1a\n\x00", "line 1: it does not begin the journal"),
        (lambda _: b"", "the file is empty"),
    ],
)
def test_a_journal_that_can_t_be_read_is_refused_and_nothing_is_written(
    damage: Callable[[bytes], bytes], words: str, tmp_path: Path
) -> None:
    folder = laid("affected", tmp_path)
    journal = folder / "journal.jsonl"
    journal.write_bytes(damage(journal.read_bytes()))
    for kind in KINDS:
        done = report(folder, f"--{kind}", tmp_path / "target")
        assert (done.returncode, done.stdout) == (2, "")
        assert words in done.stderr
        assert str(journal) in done.stderr
        assert not (tmp_path / "target").exists()


def test_a_journal_is_reported_wherever_a_kill_has_cut_it(tmp_path: Path) -> None:
    folder = laid("smp-mixed", tmp_path)
    journal = folder / "journal.jsonl"
    data = journal.read_bytes()
    lines = [place + 1 for place, byte in enumerate(data) if byte == 10]
    for end in [*lines[3::4], *(place + 25 for place in lines[4:-1:5])]:
        journal.write_bytes(data[:end])
        found = read_report(folder)
        for kind in KINDS:
            if kind != "html":
                assert output(kind).render([found], OutputOptions())
