"""Progress on standard error."""

import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from orchestrator.cli.live import Show
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.load import build_plan
from orchestrator.results.short_names import short_names
from orchestrator.verdict.verdict import Verdict
from orchestrator.vm.config import Accel

(CELL,) = build_plan({}, "test").cells(Accel.KVM)


def test_foreign_text_in_progress_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    with Show(0.95) as show:
        show.say("QEMU said: \x1b[2J[bold]gone")
        show.cell_ends(CELL, Verdict.SKIPPED, "no such machine \x1b]0;title\x07")
    said = capsys.readouterr().err
    assert "QEMU said: \\x1b[2J[bold]gone\n" in said
    assert "\\x1b]0;title\\x07" in said
    assert [c for c in said if c != "\n" and not c.isprintable()] == []


def test_rows_of_a_terminal_show_foreign_text_as_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    monkeypatch.setenv("COLUMNS", "200")
    cells = [replace(CELL, qemu=f"/opt/[red]\x1b[2J/qemu-{number}") for number in range(2)]
    with Show(0.95) as show:
        show.run_begins(cells, 299)
        for cell in cells:
            show.cell_begins(cell, 299)
            show.attempt_ends(cell, Outcome.LOST, 200, 299)
    said = capsys.readouterr().err
    assert "/25loads/qemu=/opt/[red]\\x1b[2J/qemu-1 " in said
    assert "\x1b[2J" not in said


def test_a_run_off_a_terminal_prints_its_last_trial(capsys: pytest.CaptureFixture[str]) -> None:
    with Show(0.95) as show:
        show.run_begins([CELL], 2)
        show.cell_begins(CELL, 2)
        for done in (1, 2):
            show.attempt_ends(CELL, Outcome.IMMEDIATE, done, 2)
    assert f"{CELL.id}: 2/2, loss rate < 77.64%" in capsys.readouterr().err


def rows(show: Show, width: int) -> list[str]:
    """Return the rows as a terminal of this width shows them."""
    console = Console(width=width, file=io.StringIO(), force_terminal=True, color_system=None)
    with console.capture() as shown:
        console.print(show._progress.get_renderable())
    return [line.rstrip() for line in shown.get().splitlines()]


@pytest.mark.parametrize("width", [60, 80, 109])
def test_each_row_of_a_narrow_terminal_names_what_its_cell_differs_in(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    cells = [
        CELL, replace(CELL, vcpus=2), replace(CELL, machine="q35"),
        replace(CELL, qemu="/opt/qemu-10.0.0/bin/qemu-system-x86_64"),
        replace(CELL, qemu="/opt/qemu-10.0.1/bin/qemu-system-x86_64"),
    ]  # fmt: skip
    with Show(0.95) as show:
        show.run_begins(cells, 299)
        for cell in cells:
            show.cell_begins(cell, 299)
            for outcome, done in ((Outcome.LOST, 1), (Outcome.LATE, 2), (Outcome.UNKNOWN, 2)):
                show.attempt_ends(cell, outcome, done, 299)
        whole, *shown = rows(show, width)
        show.cell_ends(cells[0], Verdict.CLEAN, "")
    assert show.times.before_s > 0
    assert list(show.times.cells_s) == [cells[0].id]
    capsys.readouterr()
    names = [line.split("/299")[0].rsplit(" ", 1)[0].strip() for line in shown]
    assert len(set(names)) == len(cells), names
    assert all(" 2/299 " in line and " 1 lost, " in line for line in shown)
    assert whole.startswith("all cells")
    if width == 80:
        assert names[:3] == ["one-shot", "vcpus=2", "machine=q35"]


def test_names_that_are_alike_when_cut_get_numbers() -> None:
    ids = [f"kvm/one-shot/machine=a{'b' * 40}{middle}{'c' * 40}" for middle in "xyz"]
    names = list(short_names(ids, 20).values())
    assert [name[:3] for name in names] == ["1: ", "2: ", "3: "]
    assert max(map(len, names)) <= 20


def test_no_word_is_broken_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")
    cell = replace(CELL, machine="pc-i440fx-2.12", cpu="qemu64,-tsc-deadline", memory_mib=4096)
    with Show(0.95) as show:
        show.say(f"{cell.id}: the host is busy: in 99 % of the last 10 s some task waited")
    lines = capsys.readouterr().err.splitlines()
    said = " ".join(lines).split()
    for part in (*cell.id.replace("/", "/ ").replace(",", ", ").split(), "waited"):
        assert any(part in word for word in said), part


def test_the_rows_count_as_the_table_does(capsys: pytest.CaptureFixture[str]) -> None:
    with Show(0.95) as show:
        show.run_begins([CELL], 20)
        show.cell_begins(CELL, 20)
        for done in range(1, 21):
            show.attempt_ends(CELL, Outcome.LATE if done < 3 else Outcome.IMMEDIATE, done, 20)
    assert f"{CELL.id}: 20/20, 0 lost, 2 late, loss rate < 13.91%" in capsys.readouterr().err


def test_an_interrupted_run_says_what_it_has_seen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "journal.jsonl").write_text('{"record":"plan","seq":1}\n')
    cells = [CELL, replace(CELL, vcpus=2)]
    with Show(0.95) as show:
        show.run_begins(cells, 299)
        for cell in cells:
            show.cell_begins(cell, 299)
        show.attempt_ends(cells[0], Outcome.LOST, 1, 299)
        capsys.readouterr()
        show.cut_short(folder, resumable=True)
    said = capsys.readouterr().err
    assert "all cells: 1 trials, 0 of 2 cells done" in said
    assert f"{cells[0].id}: 1/299, 1 lost, loss rate " in said
    assert f"{cells[1].id}: 0/299, no load yet" in said
    assert f"continue with: losttick run --resume '{folder}'\n" in said


def test_a_run_that_did_not_begin_can_t_be_continued(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "journal.jsonl").touch()
    with Show(0.95) as show:
        show.cut_short(tmp_path, resumable=True)
    assert "resume" not in capsys.readouterr().err
