"""The annotations and the summary of a step of GitHub Actions."""

import os
from pathlib import Path

import pytest

from orchestrator.results.outputs.github import MOST_BYTES, SUMMARY, annotations, summary
from orchestrator.results.outputs.output import OutputError, OutputOptions
from orchestrator.results.outputs.table import service
from orchestrator.results.report import Report
from orchestrator.verdict.verdict import Verdict
from tests.support.made_reports import HOSTILE, HOSTILE_NAME, case, every_kind, report


@pytest.fixture
def step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(SUMMARY, str(tmp_path / "summary.md"))
    return tmp_path / "summary.md"


def published(*reports: Report) -> list[str]:
    return service("github").publish(reports, OutputOptions()).splitlines()


def test_a_finding_is_an_error_and_what_was_not_tested_is_a_warning(step: Path) -> None:
    assert published(every_kind()) == [
        "::error title=losttick%3A kvm/affected::affected: the reason for affected",
        "::error title=losttick%3A kvm/anomalous::anomalous: the reason for anomalous",
        "::warning title=losttick%3A kvm/inconclusive::inconclusive: the reason for inconclusive",
        "::warning title=losttick%3A kvm/failed::inconclusive: the reason for inconclusive",
        "::warning title=losttick%3A kvm/skipped::skipped: the reason for skipped",
    ]
    assert step.read_text().startswith("## losttick run: affected\n\nThe meaning of the run.\n")


def test_a_skip_that_the_plan_accepts_is_no_warning() -> None:
    assert not list(annotations([report(case("a", Verdict.SKIPPED, accepted=True))]))


def test_the_summary_is_appended(step: Path) -> None:
    step.write_text("of an earlier command\n")
    published(every_kind())
    published(every_kind())
    text = step.read_text()
    assert text.startswith("of an earlier command\n## losttick run: affected")
    assert text.count("## losttick run: affected") == 2


def test_without_a_step_there_are_annotations_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SUMMARY, raising=False)
    assert len(published(every_kind())) == 5


def test_500_cells_with_long_reasons_stay_within_the_limits(step: Path) -> None:
    long = "é" * 7000
    cells = [
        case(f"kvm/{number}", verdict, why=long, meaning=long)
        for number, verdict in enumerate([Verdict.AFFECTED, Verdict.INCONCLUSIVE] * 250)
    ]
    lines = published(report(*cells))
    assert sum(line.startswith("::error ") for line in lines) == 10
    assert sum(line.startswith("::warning ") for line in lines) == 10
    assert len(lines) == 20
    assert lines[9].endswith("::241 more cells: see the summary of this step")
    text = step.read_text()
    assert 900_000 < step.stat().st_size <= MOST_BYTES
    assert all(f"| `kvm/{number}` |" in text for number in range(500))
    assert "more parts have no room here" in text.splitlines()[-1]
    before = step.stat().st_size
    published(report(*cells))  # another command of the same step
    assert before <= step.stat().st_size <= MOST_BYTES


def test_hostile_text_ends_no_annotation_and_begins_none() -> None:
    nasty = f"::error::x\n::set-output name=a::b%0A::stop-commands::t {HOSTILE}"
    (line,) = annotations([report(case(HOSTILE_NAME + nasty, Verdict.AFFECTED, 1, why=nasty))])
    assert line.isprintable()
    assert line.startswith("::error title=losttick%3A ")
    title, message = line.removeprefix("::error title=").split("::", 1)
    assert "," not in title
    assert ":" not in title
    assert "%0A" not in line.replace("%250A", "")
    assert "\\n" in message


def test_a_summary_that_can_t_be_written_is_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(SUMMARY, str(tmp_path / "no" / "such"))
    with pytest.raises(OutputError, match=SUMMARY):
        published(every_kind())
    os.mkfifo(tmp_path / "fifo")  # that nobody reads
    monkeypatch.setenv(SUMMARY, str(tmp_path / "fifo"))
    with pytest.raises(OutputError, match="No such device"):
        published(every_kind())
    monkeypatch.setenv(SUMMARY, os.devnull)
    published(every_kind())
    assert summary([every_kind()], room=0) == b""
