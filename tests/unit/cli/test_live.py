"""Progress on standard error."""

from dataclasses import replace

import pytest

from orchestrator.cli.live import Show
from orchestrator.findings.outcome import Outcome
from orchestrator.plan.load import build_plan
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
